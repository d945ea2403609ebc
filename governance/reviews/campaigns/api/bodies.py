"""Request and response bodies of access reviews."""

from __future__ import annotations

from typing import Any, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from entitlements.api import preconditions
from entitlements.api.fields import InputSerializer, OutputSerializer, Slug, Text
from entitlements.people.models import Person
from governance.out_of_office import delegations
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.discussion.api.bodies import CommentSerializer, ItemQuestionSerializer
from governance.reviews.discussion.models import ReviewComment, ReviewQuestion
from governance.reviews.items import review_rules, tallies
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import staging as staging_actions
from governance.reviews.staging.models import CampaignStaging
from governance.reviews.suggestions.models import Suggestion

from .options import CampaignSettingsInputSerializer, Scope, Strategies

_REASONS = sorted({*review_rules.KEEP, *review_rules.DROP, *review_rules.ABSTAIN})


class CampaignInputSerializer(CampaignSettingsInputSerializer):
    """A campaign to draft."""

    slug = Slug()
    name = Text(max_length=200)
    due_at = serializers.DateTimeField()
    scope = Scope(required=False, default=dict)
    kind = serializers.ChoiceField(
        choices=[kind for kind in Campaign.Kind.choices if kind[0] != Campaign.Kind.MICRO],
        required=False,
        default=Campaign.Kind.AGENT_OWNER,
    )
    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class CampaignActivation(InputSerializer):
    """An optional reason; `acknowledge_unresolved` confirms that some items have no reviewer yet."""

    reason = Text(max_length=500, required=False, allow_blank=True, default="")
    acknowledge_unresolved = serializers.BooleanField(required=False, default=False)


class CampaignClosing(InputSerializer):
    """Why a campaign ends. With `without_answer` its owner closes it although some items are open, once time is up."""

    reason = Text(max_length=500)
    without_answer = serializers.BooleanField(required=False, default=False)


class DraftInputSerializer(InputSerializer):
    """A reviewer's draft answer; an empty verb removes the draft."""

    verb = serializers.ChoiceField(choices=[*review_rules.Verb], allow_blank=True)
    reason_code = serializers.ChoiceField(choices=_REASONS, allow_blank=True, required=False, default="")
    comment = Text(max_length=2000, allow_blank=True, required=False, default="")
    kept = serializers.ListField(
        child=serializers.IntegerField(min_value=1), max_length=1000, required=False, default=list
    )
    limits = serializers.DictField(child=serializers.DictField(), required=False, default=dict)
    valid_until = serializers.DateTimeField(required=False, allow_null=True, default=None)
    effective_at = serializers.DateTimeField(required=False, allow_null=True, default=None)

    def validate_limits(self, value: dict[str, Any]) -> dict[int, Any]:
        """Return tighter limits by the id of their line."""
        if not all(line.isascii() and line.isdigit() and len(line) < 19 for line in value):  # noqa: PLR2004 - 2^63
            raise serializers.ValidationError("Name lines by their numbers.")
        return {int(line): caps for line, caps in value.items()}


class SubmissionInputSerializer(InputSerializer):
    """Which of the reviewer's drafts to submit, by their items; all of them without it."""

    only = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=1000, required=False, allow_null=True, default=None
    )


class ItemReassignment(InputSerializer):
    """The new reviewer, and why."""

    to = Text(max_length=64)
    reason = Text(max_length=500)


class StagingSerializer(OutputSerializer):
    """The progress of a staging; `refused` is the error code that made the campaign a draft again."""

    step = serializers.ChoiceField(choices=CampaignStaging.Step.choices)
    percent = serializers.SerializerMethodField()
    items = serializers.IntegerField()
    refused = serializers.CharField()

    def get_percent(self, run: CampaignStaging) -> int:
        """Return the progress in whole per cent."""
        return staging_actions.progress(run)


class CampaignSerializer(OutputSerializer):
    """A campaign, the hash of its population, and its progress."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Campaign.Kind.choices)
    mode = serializers.ChoiceField(choices=Campaign.Mode.choices)
    framework = serializers.ChoiceField(choices=Campaign.Framework.choices)
    carry_days = serializers.IntegerField()
    strategies = serializers.SerializerMethodField()
    fallback_group = serializers.CharField(source="fallback_group.slug", default="")
    asks_owner = serializers.BooleanField()
    state = serializers.ChoiceField(choices=Campaign.State.choices)
    owner = serializers.CharField(source="owner.login")
    scope = serializers.JSONField()
    due_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    snapshot_at = serializers.DateTimeField(allow_null=True)
    population_rows = serializers.IntegerField(allow_null=True)
    population_sha256 = serializers.CharField()
    staging = serializers.SerializerMethodField()
    state_reason = serializers.CharField()
    paused_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    is_rehearsal = serializers.BooleanField()
    load_cap = serializers.IntegerField(allow_null=True)
    deadline_held = serializers.DictField(allow_null=True)
    deadline_released_at = serializers.DateTimeField(allow_null=True)
    outcomes = serializers.SerializerMethodField()
    drafts_etag = serializers.SerializerMethodField()

    @extend_schema_field(Strategies)
    def get_strategies(self, campaign: Campaign) -> dict[str, str]:
        """Return by risk level how many people answer and how their answers combine."""
        return review_rules.strategies(campaign.strategies)

    def get_drafts_etag(self, campaign: Campaign) -> str | None:
        """Return the tag of the caller's own drafts; null in lists and for a script."""
        person = self.context.get("person")
        return f'"{submission.drafts_tag(campaign, person)}"' if person is not None else None

    @extend_schema_field(StagingSerializer(allow_null=True))
    def get_staging(self, campaign: Campaign) -> dict[str, Any] | None:
        """Return the progress of the staging; null before it was requested."""
        run = CampaignStaging.objects.filter(campaign=campaign).first()
        return StagingSerializer(run).data if run else None

    def get_outcomes(self, campaign: Campaign) -> dict[str, int]:
        """Count the items by outcome."""
        return tallies.outcomes(campaign)


class ReviewLineSerializer(OutputSerializer):
    """One tool, with its calls in the ninety days before; null where calls are not visible."""

    id = serializers.IntegerField()
    tool = serializers.CharField(source="tool.name")
    sentence = serializers.CharField(source="tool.sentence")
    risk = serializers.CharField(source="tool.risk")
    grant = serializers.UUIDField(source="grant_id", allow_null=True)
    limits = serializers.JSONField()
    usage_grade = serializers.ChoiceField(choices=ReviewLine.Grade.choices)
    calls = serializers.IntegerField(source="calls_window", allow_null=True)
    denied = serializers.IntegerField(source="denied_window", allow_null=True)
    last_call_at = serializers.DateTimeField(allow_null=True)


class DraftSerializer(OutputSerializer):
    """A reviewer's draft answer; send `etag` as If-Match to change it."""

    verb = serializers.CharField()
    reason_code = serializers.CharField()
    comment = serializers.CharField()
    kept = serializers.ListField(child=serializers.IntegerField(), source="kept_lines")
    limits = serializers.JSONField()
    valid_until = serializers.DateTimeField(allow_null=True)
    effective_at = serializers.DateTimeField(allow_null=True)
    bulk_op = serializers.UUIDField(allow_null=True)
    saved_at = serializers.DateTimeField()
    etag = serializers.SerializerMethodField()

    def get_etag(self, draft: Draft) -> str:
        """Return the revision."""
        return preconditions.etag(draft.rev)


class DecisionSerializer(OutputSerializer):
    """A submitted decision."""

    id = serializers.UUIDField()
    stage = serializers.IntegerField()
    verb = serializers.CharField()
    kept = serializers.ListField(child=serializers.IntegerField(), source="kept_lines")
    limits = serializers.JSONField()
    valid_until = serializers.DateTimeField(allow_null=True)
    effective_at = serializers.DateTimeField(allow_null=True)
    reason_code = serializers.CharField()
    comment = serializers.CharField()
    decided_by = serializers.CharField(source="decided_by.login")
    decided_at = serializers.DateTimeField()
    via = serializers.ChoiceField(choices=ReviewDecision.Via.choices)


class SuggestionShown(OutputSerializer):
    """The suggestion for an item; `kept` are the lines that a reduction keeps."""

    verdict = serializers.ChoiceField(choices=Suggestion.Verdict.choices)
    score = serializers.IntegerField()
    kept = serializers.ListField(child=serializers.IntegerField())
    reasons = serializers.ListField(child=serializers.DictField())
    version = serializers.CharField()


class ItemSerializer(OutputSerializer):
    """One review item: an agent's access at a system for a set of people, or another subject by `key`; its decision."""

    id = serializers.UUIDField()
    campaign = serializers.CharField(source="campaign.slug")
    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=ReviewItem.Subject.choices, source="subject_kind")
    key = serializers.CharField(source="subject_key")
    name = serializers.CharField()
    agent = serializers.CharField(source="agent.slug", allow_null=True)
    system = serializers.CharField(source="system.slug", allow_null=True)
    holder = serializers.CharField(source="holder.login", allow_null=True)
    subjects = serializers.ListField(child=serializers.CharField())
    risk = serializers.CharField()
    state = serializers.ChoiceField(choices=ReviewItem.State.choices)
    exclusion_reason = serializers.CharField()
    lines = serializers.SerializerMethodField()
    stage = serializers.SerializerMethodField()
    suggestion = serializers.SerializerMethodField()
    reviewer = serializers.SerializerMethodField()
    draft = serializers.SerializerMethodField()
    decision = serializers.SerializerMethodField()
    comments = serializers.SerializerMethodField()
    questions = serializers.SerializerMethodField()

    def get_lines(self, item: ReviewItem) -> list[dict[str, Any]]:
        """List the tools by name."""
        lines: list[ReviewLine] = sorted(item.lines.all(), key=lambda line: line.tool.name)
        return [ReviewLineSerializer(line).data for line in lines]

    def get_stage(self, item: ReviewItem) -> int:
        """Return the stage that is open or was answered last: 1, or 2 where the risk is high."""
        last = self._last(item)
        return last.stage if last else 1

    def get_suggestion(self, item: ReviewItem) -> dict[str, Any] | None:
        """Return the suggestion as it was frozen when the campaign began, with the weight of each signal."""
        suggestion: Suggestion | None = getattr(item, "suggestion", None)
        return SuggestionShown(suggestion).data if suggestion else None

    def get_reviewer(self, item: ReviewItem) -> str | None:
        """Return the reviewer; null where the item is unassigned."""
        last = self._last(item)
        return last.reviewer.login if last and last.reviewer else None

    def get_draft(self, item: ReviewItem) -> dict[str, Any] | None:
        """Return the caller's own draft; a draft is visible to its reviewer alone."""
        last, person = self._last(item), self.context.get("person")
        is_own = last is not None and person is not None and last.reviewer_id in {person.pk, *self._places(person)}
        draft = getattr(last, "draft", None) if is_own else None
        return DraftSerializer(draft).data if draft and item.state == ReviewItem.State.IN_REVIEW else None

    def get_decision(self, item: ReviewItem) -> dict[str, Any] | None:
        """Return the decision of the item."""
        return DecisionSerializer(item.current_decision).data if item.current_decision else None

    @extend_schema_field(CommentSerializer(many=True))
    def get_comments(self, item: ReviewItem) -> list[dict[str, Any]]:
        """List the comments on it, the oldest first."""
        comments: list[ReviewComment] = sorted(item.comments.all(), key=lambda each: (each.at, each.pk))
        return [CommentSerializer(each).data for each in comments]

    @extend_schema_field(ItemQuestionSerializer(many=True))
    def get_questions(self, item: ReviewItem) -> list[dict[str, Any]]:
        """List the questions about it, the oldest first."""
        questions: list[ReviewQuestion] = sorted(item.questions.all(), key=lambda each: (each.asked_at, each.pk))
        return [ItemQuestionSerializer(each).data for each in questions]

    def _places(self, person: Person) -> set[int]:
        """Return for whom the caller is the out-of-office delegate, read once per response."""
        kept = cast("dict[str, Any]", self.context)
        if "places" not in kept:
            kept["places"] = set(delegations.delegators_of(person).values_list("pk", flat=True))
        places: set[int] = kept["places"]
        return places

    def _last(self, item: ReviewItem) -> Assignment | None:
        last: list[Assignment] = [each for each in item.assignments.all() if each.replaced_by_id is None]
        return max(last, key=lambda each: (each.state == Assignment.State.ASSIGNED, each.stage), default=None)


class RemediationSerializer(OutputSerializer):
    """A remediation and its verification."""

    decision = serializers.UUIDField(source="decision_id")
    action = serializers.CharField()
    state = serializers.ChoiceField(choices=Remediation.State.choices)
    applied_at = serializers.DateTimeField(allow_null=True)
    final_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    verified_at = serializers.DateTimeField(allow_null=True)
    residual_until = serializers.DateTimeField(allow_null=True)
    probe = serializers.JSONField()


class SubmittedDecisionSerializer(OutputSerializer):
    """One decision of a submission."""

    item = serializers.UUIDField()
    decision = serializers.UUIDField()
    verb = serializers.CharField()


class SubmissionSerializer(OutputSerializer):
    """The result of a submission, item by item, and whether each removal is verified.

    `ended` are drafted items whose access has ended: they are not decided. `settled` are items of other reviews about
    the same access, which these decisions settle too.
    """

    decided = SubmittedDecisionSerializer(many=True)
    superseded = serializers.IntegerField()
    ended = serializers.ListField(child=serializers.UUIDField())
    settled = serializers.ListField(child=serializers.UUIDField())
    removals = RemediationSerializer(many=True)


class EvidenceSerializer(OutputSerializer):
    """The evidence of a campaign: each item with its decisions, and the frozen population with its hashes."""

    campaign = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    state = serializers.CharField()
    owner = serializers.CharField()
    scope = serializers.JSONField()
    scope_sha256 = serializers.CharField()
    snapshot_at = serializers.CharField(allow_null=True)
    population_rows = serializers.IntegerField(allow_null=True)
    population_sha256 = serializers.CharField()
    outcomes = serializers.DictField(child=serializers.IntegerField())
    tie_out = serializers.DictField(child=serializers.IntegerField())
    rows = serializers.ListField(child=serializers.DictField())
    population = serializers.ListField(child=serializers.DictField())
