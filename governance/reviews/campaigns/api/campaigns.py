"""Access reviews over REST: campaigns, items, a reviewer's drafts and submissions, the evidence."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from entitlements.api.actions import Performed
from entitlements.api.endpoints import Endpoint
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Listing, tagged
from entitlements.people.models import Person
from entitlements.permissions.matrix import Matrix
from entitlements.words import Risk
from governance.api.matrix import MATRIX
from governance.requests.api.requests import IF_MATCH, UnknownName
from governance.reviews.campaigns import actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import calendar
from governance.reviews.decisions import actions as decision_actions
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.evidence import audit, record
from governance.reviews.items import item_links
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation import remediation

from .bodies import (
    CampaignActivation,
    CampaignClosing,
    CampaignInputSerializer,
    CampaignSerializer,
    EvidenceSerializer,
    ItemSerializer,
    RemediationSerializer,
    SubmissionInputSerializer,
    SubmissionSerializer,
)
from .options import options_of


class ReviewResource(Endpoint):
    """What the addresses of reviews share: the rows that the caller sees, and the caller as a reviewer."""

    matrix: ClassVar[Matrix] = MATRIX

    def reviewer(self) -> Person:
        """Return the caller as a reviewer. Raises MayNotReview."""
        return actions.reviewer(self.caller)

    def campaigns(self) -> QuerySet[Campaign]:
        """Return the campaigns that the caller sees."""
        return actions.CAMPAIGN.rows(self.caller)

    def items(self) -> QuerySet[ReviewItem]:
        """Return the items that the caller sees."""
        return actions.ITEM.rows(self.caller).prefetch_related(
            "lines__tool",
            "assignments__reviewer",
            "assignments__draft",
            "suggestion",
            "comments__by",
            "questions__asked_by",
            "questions__asked_of",
            "questions__answered_by",
        )

    def campaign(self, slug: str) -> Campaign:
        """Find a campaign that the caller sees, and note what a refusal is about. Raises NotFound."""
        self.about = [f"campaign:{slug}"]
        return self.find(self.campaigns(), slug=slug)

    def readable(self, slug: str) -> Campaign:
        """Find a campaign whose evidence the caller may read. Raises NotFound, Forbidden."""
        campaign = self.campaign(slug)
        if self.caller.human is not None:
            audit.check_may_read(campaign, self.caller.human)
        return campaign

    def evidence_of(self, slug: str, file_name: str) -> Campaign:
        """Find a campaign whose evidence the caller may read, and record that an auditor read the file."""
        campaign = self.readable(slug)
        if self.caller.human is not None:
            audit.record_access(campaign, self.caller.human, file_name)
        return campaign

    def item(self, pk: object) -> ReviewItem:
        """Find an item that the caller sees, and note what a refusal is about. Raises NotFound."""
        item = self.find(self.items(), pk=pk)
        self.about = item_links.about(item)
        return item

    def item_response(self, item: ReviewItem) -> Response:
        """Respond with an item."""
        return Response(ItemSerializer(item, context={"person": self.caller.human}).data)

    def campaign_response(self, campaign: Campaign, status: int = HTTPStatus.OK) -> Response:
        """Respond with a campaign as it is now."""
        current = Campaign.objects.select_related("owner", "fallback_group").get(pk=campaign.pk)
        return tagged(
            CampaignSerializer(current, context={"person": self.caller.human}).data, current.version, status=status
        )


class CampaignAction(ReviewResource, ActionEndpoint):
    """An action on a campaign; the answer is the campaign as it is then."""

    shown: ClassVar[type[BaseSerializer[Any]]] = CampaignSerializer

    def find_row(self) -> Campaign:
        """Return the campaign that the address names. Raises NotFound."""
        return self.campaign(self.kwargs["key"])

    def again(self, row: Campaign, **_kwargs: Any) -> Response:  # noqa: ANN401 - the base's signature
        """Answer with the campaign, read again."""
        return self.campaign_response(row, self.answers)


class ItemAction(ReviewResource, ActionEndpoint):
    """An action on a review item; the answer is the item as it is then."""

    shown: ClassVar[type[BaseSerializer[Any]]] = ItemSerializer

    def find_row(self) -> Any:  # noqa: ANN401 - an item, or a thing beside it
        """Return the item that the address names. Raises NotFound."""
        return self.item(self.kwargs["key"])

    def again(self, row: ReviewItem, **_kwargs: Any) -> Response:  # noqa: ANN401 - the base's signature
        """Answer with the item, read again."""
        return self.item_response(self.item(row.pk))


def person_named(field: str, login: str) -> Person:
    """Return the person with a login. Raises UnknownName."""
    person = Person.objects.filter(login=login).first()
    if person is None:
        raise UnknownName(field=field, name=login)
    return person


class EvidenceFile(ReviewResource):
    """A file of the evidence of a campaign: a caller who may not read it is refused before step-up is asked for."""

    def look_first(self) -> None:
        """Check that the caller may read the evidence. Raises NotFound, Forbidden."""
        self.readable(self.kwargs["key"])


class CampaignFilter(filters.FilterSet):
    """Filters of campaigns."""

    state = filters.ChoiceFilter(choices=Campaign.State.choices)
    kind = filters.ChoiceFilter(choices=Campaign.Kind.choices)

    class Meta:
        model = Campaign
        fields: ClassVar[list[str]] = []


class Campaigns(ReviewResource, Listing, CreateEndpoint):
    """List campaigns, and draft one.

    get: List campaigns, the newest first.
    post: Draft a campaign. Over all access in force, or over a scope. Nobody is asked before it is launched.
    """

    action = actions.MAKE
    asked = CampaignInputSerializer
    shown = serializer_class = CampaignSerializer
    filterset_class = CampaignFilter
    ordering = ("-created_at", "-id")

    def rows(self) -> QuerySet[Campaign]:
        """Return the visible campaigns; event-triggered reviews, which are many, only with `kind=micro`."""
        small = self.request.query_params.get("kind") == Campaign.Kind.MICRO
        return self.campaigns() if small else self.campaigns().exclude(kind=Campaign.Kind.MICRO)

    @extend_schema(responses=CampaignSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List campaigns, the newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(CampaignSerializer(page, many=True).data)

    def read(self) -> dict[str, Any]:
        """Read a draft; its population is taken when it is staged."""
        body = super().read()
        values = {name: body[name] for name in ("slug", "name", "due_at", "scope", "reason")}
        return {**values, "options": options_of(body)}

    def answer(self, performed: Performed) -> Response:
        """Answer with the campaign."""
        return self.campaign_response(performed.result, HTTPStatus.CREATED)


class CampaignDetail(ReviewResource):
    """Show a campaign. With its progress, due date and options."""

    @extend_schema(responses=CampaignSerializer)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Show one campaign."""
        return self.campaign_response(self.campaign(key))


class Activate(CampaignAction):
    """Launch a campaign.

    Its reviewers are asked from now on. A small draft is staged on the way. Items without a reviewer stay unassigned;
    `acknowledged` confirms that you have seen them.
    """

    action = actions.ACTIVATE
    asked = CampaignActivation

    def read(self) -> dict[str, Any]:
        """Read whether the caller has seen which items have no reviewer."""
        body = super().read()
        return {"reason": body["reason"], "acknowledged": body["acknowledge_unresolved"]}


class Close(CampaignAction):
    """Close a campaign.

    Decisions can no longer be recalled, and it is closed once every remediation is verified. With `without_answer`
    open items stay undecided: low-risk access is kept and flagged, everything above is suspended, as at the deadline.
    """

    action = actions.CLOSE
    asked = CampaignClosing


@extend_schema(parameters=[IF_MATCH])
class Submissions(CampaignAction):
    """Submit your drafts as decisions.

    All of them, or those of the items in `only`. What they reduce or revoke is carried out at once. `If-Match` may
    name the drafts as you read them (`drafts_etag`).
    """

    action = decision_actions.SUBMIT
    asked = SubmissionInputSerializer
    shown = SubmissionSerializer
    answers = HTTPStatus.CREATED
    durable = True

    def check_preconditions(self, row: Campaign) -> None:
        """Ask for re-authentication where an item of critical risk is among the drafts."""
        drafts = submission.drafts_of(row, self.reviewer())
        self.only = self.body(SubmissionInputSerializer)["only"]
        if self.only is not None:
            drafts = drafts.filter(assignment__item__in=self.only)
        self.weighs = drafts.filter(assignment__item__risk=Risk.CRITICAL).exists()
        self.weigh(weighs=self.weighs)

    def read(self) -> dict[str, Any]:
        """Read which drafts were seen."""
        if_match = self.request.headers.get("If-Match", "*").strip()
        tag = None if if_match == "*" else if_match.strip('"')
        return {"via": ReviewDecision.Via.API, "tag": tag, "proven": self.weighs, "only": self.only}

    def answer(self, performed: Performed) -> Response:
        """Verify what was removed, and answer with it: all was decided and removed in one transaction."""
        submitted = performed.result
        proven = [remediation.verify(decision) for decision in submitted.removals]
        return Response(
            {
                "decided": [
                    {"item": str(each.item_id), "decision": str(each.pk), "verb": each.verb}
                    for each in submitted.decided
                ],
                "superseded": submitted.superseded,
                "ended": [str(each.pk) for each in submitted.ended],
                "settled": [str(each.pk) for each in submitted.settled],
                "removals": [RemediationSerializer(each).data for each in proven],
            },
            status=HTTPStatus.CREATED,
        )


class Evidence(EvidenceFile):
    """Show the evidence of a campaign.

    Each item with its decisions and outcome, and the frozen population with its hashes.
    """

    @extend_schema(responses=EvidenceSerializer)
    def get(self, request: Request, key: str) -> StreamingHttpResponse:  # noqa: ARG002 - as above
        """Return each item with its decisions and outcome, and the frozen population with its hashes."""
        kept = record.evidence(self.evidence_of(key, "evidence.json"))
        return StreamingHttpResponse(kept.as_json(), content_type="application/json")


class EvidenceTable(EvidenceFile):
    """Download the evidence of a campaign as CSV. No cell is read as a formula."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, key: str) -> StreamingHttpResponse:  # noqa: ARG002 - as above
        """Return the items as a CSV table in which no cell is read as a formula."""
        campaign = self.evidence_of(key, "evidence.csv")
        answer = StreamingHttpResponse(record.evidence(campaign).as_csv(), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="review-{campaign.slug}.csv"'
        return answer


class DueDate(ReviewResource):
    """Download the due date of a campaign. As a calendar file (RFC 5545)."""

    @extend_schema(responses={(200, "text/calendar"): OpenApiTypes.STR})
    def get(self, request: Request, key: str) -> HttpResponse:  # noqa: ARG002 - as above
        """Return the due date as a calendar file."""
        campaign = self.campaign(key)
        named = {"Content-Disposition": f'attachment; filename="due-{campaign.slug}.ics"'}
        return HttpResponse(calendar.due(campaign), content_type=calendar.TYPE, headers=named)
