"""Bulk decisions: one answer for many items, previewed first, then drafted by a signed token.

Only items that are alike and have nothing against them are kept in bulk. The drafts carry the number of the operation;
nothing counts before the reviewer submits them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

from django.core import signing
from django.db.models import Prefetch

from audit import clock
from entitlements.catalog.models import Tool
from entitlements.errors import DomainError, ReasonRequired
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import facts as item_facts
from governance.reviews.items import violations
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import BadAnswer, BadBulk
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.items.review_rules import Verb
from governance.reviews.items.visibility import answerable_by
from governance.reviews.population.models import PopulationRow
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions.models import Suggestion

from .submission import save_draft

MOST: Final = {Verb.CERTIFY: 50, Verb.REVOKE: 200, Verb.REDUCE: 200}
"""How many items one operation answers at most, by verb."""
_SALT: Final = "governance.reviews.decisions.bulk"
_LASTS: Final = timedelta(minutes=10)


class Bar(StrEnum):
    """Why an item is answered by itself and not with others."""

    NOT_YOURS = "not_yours_to_answer"
    TOO_RISKY = "too_risky"
    UNSEEN = "calls_not_visible"
    OTHER_TOOLS = "other_tools"
    NOT_SUGGESTED = "keeping_not_suggested"
    VIOLATION = "open_sod_violation"
    FOUND = "found_since_it_began"
    CHANGED = "changed_or_never_reviewed"
    NOTHING_SUGGESTED = "no_reduction_suggested"


@dataclass(frozen=True, slots=True)
class Preview:
    """Which of the items can be answered together, why the others cannot, and the token to go on with."""

    verb: str
    eligible: tuple[UUID, ...]
    barred: dict[UUID, Bar]
    token: str


@dataclass(slots=True)
class Done:
    """What became of each item: drafted, or the refusal."""

    bulk_op: UUID
    drafted: list[UUID] = field(default_factory=list)
    refused: dict[UUID, DomainError] = field(default_factory=dict)


def preview(campaign: Campaign, items: Sequence[UUID], answer: Answer, *, by: Person) -> Preview:
    """Return which items one answer fits. A reduction takes what is suggested for each item.

    Raises BadAnswer for a verb that is never for many or too many items, ReasonRequired.
    """
    answer.check(clock.now())
    if answer.verb not in MOST or answer.kept or answer.limits or answer.valid_until or answer.effective_at:
        raise BadAnswer(verb=answer.verb)
    if not answer.reason_code:
        raise ReasonRequired
    eligible, barred = fits(campaign, items, Verb(answer.verb), by=by)
    values: dict[str, Any] = {"by": by.login, "campaign": str(campaign.pk), "op": str(uuid4())}
    values |= {"verb": answer.verb, "reason_code": answer.reason_code, "comment": answer.comment}
    values["items"] = {str(pk): rev for pk, rev in eligible.items()}
    return Preview(answer.verb, tuple(eligible), barred, signing.dumps(values, salt=_SALT, compress=True))


def fits(
    campaign: Campaign, items: Sequence[UUID], verb: Verb, *, by: Person
) -> tuple[dict[UUID, int], dict[UUID, Bar]]:
    """Return the items that a verb fits, with the revision of each one's draft, and why it does not fit the others.

    Raises BadAnswer for no items or too many.
    """
    keys = list(dict.fromkeys(items))
    if not 0 < len(keys) <= MOST[verb]:
        raise BadAnswer(items_at_most=MOST[verb])
    assigned = {item.pk: item for item in _assigned(campaign, keys, by)}
    first = next((assigned[pk] for pk in keys if pk in assigned), None)
    barred = {pk: Bar.NOT_YOURS for pk in keys if pk not in assigned}
    violating = _violating(assigned, verb)
    for pk, item in assigned.items():
        bar = Bar.VIOLATION if pk in violating else _bar(item, verb, first=first or item)
        if bar is not None:
            barred[pk] = bar
    return {pk: _rev(assigned[pk]) for pk in keys if pk not in barred}, barred


def _violating(items: Mapping[UUID, ReviewItem], verb: Verb) -> Collection[UUID]:
    """Return the items of which a verb would keep a side of a violation, with or without an exception."""
    if verb == Verb.REVOKE:
        return ()
    left = item_facts.lines_left(items)
    if verb == Verb.CERTIFY:
        return violations.of_items(items.values(), left)
    suggested = dict(Suggestion.objects.filter(item__in=items).values_list("item", "kept"))
    kept = {pk: set(suggested.get(pk, ())) & set(lines) for pk, lines in left.items()}
    cut = {line for pk, lines in left.items() for line in set(lines) - kept[pk]}
    return violations.of_items(items.values(), kept, cut)


def _assigned(campaign: Campaign, items: Sequence[UUID], by: Person) -> list[ReviewItem]:
    live = Assignment.objects.filter(answerable_by(by), state=Assignment.State.ASSIGNED)
    rows = ReviewItem.objects.filter(pk__in=items, campaign=campaign, state=ReviewItem.State.IN_REVIEW)
    rows = rows.filter(pk__in=live.values("item")).select_related("suggestion", "campaign")
    drafts = Prefetch("assignments", live.select_related("draft"), to_attr="live")
    return list(rows.prefetch_related("lines__tool", drafts).order_by("number"))


def _rev(item: ReviewItem) -> int:
    live: list[Assignment] = getattr(item, "live", [])
    return next((each.draft.rev for each in live if hasattr(each, "draft")), 0)


def _bar(item: ReviewItem, verb: Verb, *, first: ReviewItem) -> Bar | None:
    if verb == Verb.REVOKE:
        return None
    if verb == Verb.REDUCE:
        fits = item.has_parts and _suggested(item) == Suggestion.Verdict.REDUCE
        return None if fits else Bar.NOTHING_SUGGESTED
    lines = list(item.lines.all())
    bars = (
        (Risk(item.risk).rank >= Risk.HIGH.rank, Bar.TOO_RISKY),
        (any(line.usage_grade != ReviewLine.Grade.CALLS for line in lines), Bar.UNSEEN),
        (_tools(item) != _tools(first), Bar.OTHER_TOOLS),
        (_suggested(item) != Suggestion.Verdict.KEEP, Bar.NOT_SUGGESTED),
        (_tool_changed(item), Bar.FOUND),
        (not _is_as_reviewed(item), Bar.CHANGED),
    )
    return next((bar for stands, bar in bars if stands), None)


def _suggested(item: ReviewItem) -> str:
    suggestion: Suggestion | None = getattr(item, "suggestion", None)
    return suggestion.verdict if suggestion else ""


def _tool_changed(item: ReviewItem) -> bool:
    """Whether a tool is quarantined, or was changed since it was approved."""
    tools = [line.tool for line in item.lines.all()]
    return any(tool.state == Tool.State.QUARANTINED or tool.seen_id != tool.approved_id for tool in tools)


def _tools(item: ReviewItem) -> list[str]:
    return sorted(f"{line.tool_id}:{line.limits}" for line in item.lines.all())


def _is_as_reviewed(item: ReviewItem) -> bool:
    """Whether a person kept exactly these grants, at these versions, when they were last reviewed."""
    now = set(item.population.values_list("grant", "grant_version"))
    kept = ReviewDecision.objects.filter(
        item__population__grant__in=[grant for grant, _ in now], taken_back=None, verb=Verb.CERTIFY
    )
    last = kept.exclude(item=item).order_by("-decided_at").values_list("item", flat=True).first()
    before = PopulationRow.objects.filter(item=last).values_list("grant", "grant_version")
    return last is not None and now == set(before)


def commit(campaign: Campaign, token: str, *, by: Person, count: int | None = None) -> Done:
    """Draft what was previewed; each item by itself, so that one that changed meanwhile keeps none of the others back.

    A token is for the campaign and the person that it was made for. A cut repeats how many items it is (`count`).
    Raises BadBulk.
    """
    try:
        values: dict[str, Any] = signing.loads(token, salt=_SALT, max_age=_LASTS)
    except signing.BadSignature as error:
        raise BadBulk from error
    items: dict[str, int] = values["items"]
    is_theirs = (values["by"], values["campaign"]) == (by.login, str(campaign.pk))
    if not is_theirs or not items or (values["verb"] != Verb.CERTIFY and count != len(items)):
        raise BadBulk
    done = Done(UUID(values["op"]))
    suggested = dict(Suggestion.objects.filter(item__in=[UUID(name) for name in items]).values_list("item", "kept"))
    for name, rev in items.items():
        pk = UUID(name)
        kept = tuple(suggested.get(pk, ())) if values["verb"] == Verb.REDUCE else ()
        answer = Answer(values["verb"], values["reason_code"], values["comment"], kept=kept)
        try:
            save_draft(pk, answer, by=by, rev=rev, bulk_op=done.bulk_op)
        except DomainError as refusal:
            done.refused[pk] = refusal
        else:
            done.drafted.append(pk)
    return done
