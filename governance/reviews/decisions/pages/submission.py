"""Submitting: a summary of what the answers will do; then they are submitted, and each removal is verified."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from entitlements.errors import DomainError
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.console import doors
from governance.console.tags import REASONS
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.pages.campaigns import find_campaign
from governance.reviews.decisions import actions, facts, submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import review_rules
from governance.reviews.items.answer import lacking
from governance.reviews.items.pages import crumbs
from governance.reviews.items.review_rules import Verb
from governance.reviews.remediation import remediation
from governance.reviews.usage import replay as replay_actions
from governance.reviews.workbench.queries import rows as item_rows


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def submit(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what submitting will do; then do it, and verify the removals."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    drafts = item_rows.drafted(campaign, person)
    problem: DomainError | None = None
    if request.method == "POST":
        weighs = any(each.assignment.item.risk == Risk.CRITICAL for each in drafts)
        doors.require_reauthentication(request, "campaign-submissions", weighs=weighs)
        try:
            values = {"via": ReviewDecision.Via.UI, "tag": request.POST.get("tag", "")}
            how = {"amr": proofs(request), "proven": weighs}
            done = doors.perform(request, actions.SUBMIT, campaign, {**values, **how}).result
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
        else:
            verified = [remediation.verify(decision) for decision in done.removals]
            messages.success(request, message_of(done, sum(each.state == "verified" for each in verified)))
            return redirect("review-page", slug=slug)
    context = _summary(campaign, drafts, request, problem)
    return render(request, "console/reviews/decisions/submit.html", context, status=problem.status if problem else 200)


def proofs(request: HttpRequest) -> list[str]:
    """Return the methods by which the person authenticated, as their session has them."""
    methods = request.session.get("account_authentication_methods", [])
    return sorted({str(proof.get("method", ""))[:32] for proof in methods if proof.get("method")})


def message_of(done: submission.Submission, verified: int) -> str:
    """Return what became of a submission, and which items had ended before they were answered, as sentences."""
    decided, removals, ended = len(done.decided), len(done.removals), len(done.ended)
    sentences = [ngettext("%(n)d decision is submitted.", "%(n)d decisions are submitted.", decided) % {"n": decided}]
    if removals:
        sentences.append(_("You can recall them for 15 minutes."))
        sentences.append(
            _("%(verified)d of %(removals)d remediations are verified.") % {"verified": verified, "removals": removals}
        )
    if done.settled:
        same = ngettext(
            "%(n)d item of another review is about the same access and is decided too.",
            "%(n)d items of other reviews are about the same access and are decided too.",
            len(done.settled),
        )
        sentences.append(same % {"n": len(done.settled)})
    if ended:
        names = ", ".join(item.name for item in done.ended[:_NAMED])
        unanswered = ngettext(
            "%(n)d item was not decided, because its access ended before: %(names)s.",
            "%(n)d items were not decided, because their access ended before: %(names)s.",
            ended,
        )
        sentences.append(unanswered % {"n": ended, "names": names if ended <= _NAMED else f"{names}, ..."})
    return " ".join(sentences)


_NAMED: Final = 5
"""How many items one sentence names."""


_OUTDATED: Final = {
    "valid_until": gettext_lazy("its earlier end has passed, is too near, or is no longer earlier than its end"),
    "effective_at": gettext_lazy("the day of the revocation has passed or is too near"),
    "kept": gettext_lazy("its tools changed"),
}
_OTHERWISE: Final = gettext_lazy("the decision no longer fits the item")


@dataclass(frozen=True)
class _DraftRow:
    """One drafted answer beside its item."""

    draft: Draft
    row: item_rows.Row
    amiss: str = ""
    person: Person | None = None

    @property
    def why(self) -> object:
        """The reason in words; empty where none was given."""
        return REASONS.get(self.draft.reason_code, "")

    @property
    def outdated(self) -> object:
        """Why it does not fit its item any more; empty where it does."""
        return _OUTDATED.get(self.amiss, _OTHERWISE) if self.amiss else ""

    @property
    def drafted_by(self) -> str:
        """The name of the person who drafted it, where that is not who submits it."""
        other = self.draft.saved_by
        return other.name if other is not None and other != self.person else ""

    @property
    def dropped(self) -> list[dict[str, Any]]:
        """The lines that the answer takes away."""
        keeps = self.draft.verb in (Verb.CERTIFY, Verb.ABSTAIN)
        return [] if keeps else [line for line in self.row.lines if line["row"].pk not in self.draft.kept_lines]

    @property
    def calls(self) -> int:
        """How often the tools were called that it takes away."""
        return sum(line["row"].calls_window or 0 for line in self.dropped)

    @cached_property
    def replay(self) -> replay_actions.Replay | None:
        """What its tighter limits would have done; None where it has none."""
        lines = [line["row"] for line in self.row.lines]
        return replay_actions.of_draft(self.draft, lines) if self.draft.limits else None

    @property
    def is_against(self) -> bool:
        """Whether it goes against what is suggested."""
        return review_rules.contradicts(self.draft.verb, self.row.verdict)

    @property
    def lacks(self) -> type[DomainError] | None:
        """What it lacks before it counts: a reason, or one in the reviewer's own words."""
        draft, risk = self.draft, Risk(self.row.item.risk)
        return lacking(draft.verb, draft.reason_code, draft.comment, risk, self.row.verdict)

    @property
    def lacks_words(self) -> bool:
        """Whether it needs a reason in the reviewer's own words and has none."""
        is_needed = review_rules.needs_words(Verb(self.draft.verb), Risk(self.row.item.risk))
        return is_needed and not review_rules.is_written(self.draft.comment)


def _summary(
    campaign: Campaign, drafts: list[Draft], request: HttpRequest, problem: DomainError | None
) -> dict[str, Any]:
    person = doors.person(request)
    waiting = item_rows.to_answer(campaign, person).filter(pk__in=[each.assignment.item_id for each in drafts])
    items = {row.item.pk: row for row in item_rows.rows(list(waiting), person)}
    outdated = facts.outdated(drafts)
    rows = [
        _DraftRow(draft, items[pk], outdated.get(pk, ""), person)
        for draft in drafts
        if (pk := draft.assignment.item_id) in items
    ]
    order = [Verb.REVOKE, Verb.REDUCE, Verb.CERTIFY, Verb.ABSTAIN]
    rows.sort(key=lambda each: order.index(Verb(each.draft.verb)))
    by_verb = {verb.value: [each for each in rows if each.draft.verb == verb] for verb in order}
    cut = [*by_verb["revoke"], *by_verb["reduce"]]
    return {
        "campaign": campaign,
        "crumbs": crumbs(campaign, within_workbench=True),
        "problem": problem,
        "rows": rows,
        "revoked": [each for each in by_verb["revoke"] if each.draft.effective_at is None],
        "later": [each for each in by_verb["revoke"] if each.draft.effective_at],
        "reduced": by_verb["reduce"],
        "cut": cut,
        "kept": len(by_verb["certify"]),
        "passed": len(by_verb["abstain"]),
        "label": _label({verb: len(drafted) for verb, drafted in by_verb.items()}),
        "people": len({name for each in cut for name in each.row.item.subjects}),
        "calls": sum(each.calls for each in cut),
        "all_calls": sum(each.row.calls for each in cut),
        "against": [each for each in rows if each.is_against],
        "blind": sum(not each.row.is_seen for each in cut),
        "outdated": [each for each in rows if each.amiss],
        "missing": [each for each in rows if each.lacks],
        "tag": submission.drafts_tag(campaign, person),
    }


def _label(counts: dict[str, int]) -> str:
    """Return what the button does."""
    if counts["certify"] == sum(counts.values()):
        return ngettext("Keep %(n)d item", "Keep %(n)d items", counts["certify"]) % {"n": counts["certify"]}
    if not counts["reduce"] and not counts["abstain"]:
        return _("Keep %(kept)d, revoke %(revoked)d") % {"kept": counts["certify"], "revoked": counts["revoke"]}
    parts = (
        (_("keep %(n)d"), counts["certify"]),
        (_("keep some of %(n)d"), counts["reduce"]),
        (_("revoke %(n)d"), counts["revoke"]),
        (_("don't know %(n)d"), counts["abstain"]),
    )
    label = ", ".join(text % {"n": count} for text, count in parts if count)
    return label[:1].upper() + label[1:]
