"""Many items with one answer: looked at first, then drafted by a signed token, with guard rails against waving through.

Keeping in bulk is only for items that are alike and that nothing speaks against. What comes of it are drafts that carry
the number of the operation: nothing counts before the reviewer submits them.
"""

from __future__ import annotations

import hashlib
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
from governance.deciders.review_rules import Verb
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import facts as item_facts
from governance.reviews.items import violations
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import BadAnswer, BadBulk
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.items.visibility import answerable_by
from governance.reviews.newer_signals.models import NewerSignal
from governance.reviews.population.models import PopulationRow
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions.models import Suggestion

from .submission import save_draft

MOST: Final = {Verb.CERTIFY: 50, Verb.REVOKE: 200, Verb.REDUCE: 200}
"""How many items one operation answers, by verb."""
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
    """Say which items one answer fits. A reduction takes what is suggested for each item.

    Raises BadAnswer for a verb that is never for many or too many items, ReasonRequired.
    """
    answer.check(clock.now())
    if answer.verb not in MOST or answer.kept or answer.limits or answer.valid_until or answer.effective_at:
        raise BadAnswer(verb=answer.verb)
    if not answer.reason_code:
        raise ReasonRequired
    eligible, barred = fits(campaign, items, Verb(answer.verb), by=by)
    told: dict[str, Any] = {"by": by.login, "campaign": str(campaign.pk), "op": str(uuid4())}
    told |= {"verb": answer.verb, "reason_code": answer.reason_code, "comment": answer.comment}
    told["items"] = {str(pk): rev for pk, rev in eligible.items()}
    return Preview(answer.verb, tuple(eligible), barred, signing.dumps(told, salt=_SALT, compress=True))


def fits(
    campaign: Campaign, items: Sequence[UUID], verb: Verb, *, by: Person
) -> tuple[dict[UUID, int], dict[UUID, Bar]]:
    """Return the items that a verb fits, with the revision of each one's draft, and why it does not fit the others.

    Raises BadAnswer for no items or too many.
    """
    asked = list(dict.fromkeys(items))
    if not 0 < len(asked) <= MOST[verb]:
        raise BadAnswer(items_at_most=MOST[verb])
    mine = {item.pk: item for item in _mine(campaign, asked, by)}
    first = next((mine[pk] for pk in asked if pk in mine), None)
    barred = {pk: Bar.NOT_YOURS for pk in asked if pk not in mine}
    violating = _violating(mine, verb)
    for pk, item in mine.items():
        why = Bar.VIOLATION if pk in violating else _bar(item, verb, first=first or item)
        if why is not None:
            barred[pk] = why
    return {pk: _rev(mine[pk]) for pk in asked if pk not in barred}, barred


def _violating(items: Mapping[UUID, ReviewItem], verb: Verb) -> Collection[UUID]:
    """Return the items of which a verb would keep a part of a violation, with or without an exception."""
    if verb == Verb.REVOKE:
        return ()
    left = item_facts.lines_left(items)
    if verb == Verb.CERTIFY:
        return violations.of_items(items.values(), left)
    suggested = dict(Suggestion.objects.filter(item__in=items).values_list("item", "kept"))
    kept = {pk: set(suggested.get(pk, ())) & set(lines) for pk, lines in left.items()}
    cut = {line for pk, lines in left.items() for line in set(lines) - kept[pk]}
    return violations.of_items(items.values(), kept, cut)


def _mine(campaign: Campaign, items: Sequence[UUID], by: Person) -> list[ReviewItem]:
    live = Assignment.objects.filter(answerable_by(by), state=Assignment.State.ASSIGNED)
    rows = ReviewItem.objects.filter(pk__in=items, campaign=campaign, state=ReviewItem.State.IN_REVIEW)
    found = (
        rows.filter(pk__in=live.values("item"))
        .select_related("suggestion", "newer_signal", "campaign")
        .prefetch_related("lines__tool", Prefetch("assignments", live.select_related("draft"), to_attr="live"))
    )
    return list(found.order_by("number"))


def _rev(item: ReviewItem) -> int:
    live: list[Assignment] = getattr(item, "live", [])
    return next((each.draft.rev for each in live if hasattr(each, "draft")), 0)


def _bar(item: ReviewItem, verb: Verb, *, first: ReviewItem) -> Bar | None:
    if verb == Verb.REVOKE:
        return None
    if verb == Verb.REDUCE:
        suggestion: Suggestion | None = getattr(item, "suggestion", None)
        fits = item.has_parts and suggestion is not None and suggestion.verdict == Suggestion.Verdict.REDUCE
        return None if fits else Bar.NOTHING_SUGGESTED
    lines = list(item.lines.all())
    bars = (
        (Risk(item.risk).rank >= Risk.HIGH.rank, Bar.TOO_RISKY),
        (any(line.usage_grade != ReviewLine.Grade.CALLS for line in lines), Bar.UNSEEN),
        (_tools(item) != _tools(first), Bar.OTHER_TOOLS),
        (not _suggested_to_keep(item), Bar.NOT_SUGGESTED),
        (_found_since(item), Bar.FOUND),
        (not _is_as_reviewed(item), Bar.CHANGED),
    )
    return next((bar for stands, bar in bars if stands), None)


def _suggested_to_keep(item: ReviewItem) -> bool:
    suggestion: Suggestion | None = getattr(item, "suggestion", None)
    return suggestion is not None and suggestion.verdict == Suggestion.Verdict.KEEP


def _found_since(item: ReviewItem) -> bool:
    """Whether something speaks against it that did not when its population was taken: a newer signal, or a tool."""
    newer: NewerSignal | None = getattr(item, "newer_signal", None)
    if newer is not None and newer.stands and newer.verdict != Suggestion.Verdict.KEEP:
        return True
    tools = [line.tool for line in item.lines.all()]
    return any(tool.state == Tool.State.QUARANTINED or tool.seen_id != tool.approved_id for tool in tools)


def _tools(item: ReviewItem) -> str:
    names = sorted(f"{line.tool_id}:{line.limits}" for line in item.lines.all())
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _is_as_reviewed(item: ReviewItem) -> bool:
    """Whether a person kept exactly these grants, at these versions, when they were last reviewed."""
    now = set(item.population.values_list("grant", "grant_version"))
    last = (
        ReviewDecision.objects.filter(
            item__population__grant__in=[grant for grant, _ in now], taken_back=None, verb=Verb.CERTIFY
        )
        .exclude(item=item)
        .order_by("-decided_at")
        .values_list("item", flat=True)
        .first()
    )
    return last is not None and now == set(
        PopulationRow.objects.filter(item=last).values_list("grant", "grant_version")
    )


def commit(campaign: Campaign, token: str, *, by: Person, count: int | None = None) -> Done:
    """Draft what was looked at; each item by itself, so that one that changed meanwhile keeps none of the others back.

    A token is for the campaign and the person that it was made for. A cut of many says again how many they are
    (`count`). Raises BadBulk.
    """
    try:
        told: dict[str, Any] = signing.loads(token, salt=_SALT, max_age=_LASTS)
    except signing.BadSignature as error:
        raise BadBulk from error
    items: dict[str, int] = told["items"]
    is_theirs = (told["by"], told["campaign"]) == (by.login, str(campaign.pk))
    if not is_theirs or not items or (told["verb"] != Verb.CERTIFY and count != len(items)):
        raise BadBulk
    done = Done(UUID(told["op"]))
    suggested = dict(Suggestion.objects.filter(item__in=[UUID(name) for name in items]).values_list("item", "kept"))
    for name, rev in items.items():
        pk = UUID(name)
        kept = tuple(suggested.get(pk, ())) if told["verb"] == Verb.REDUCE else ()
        answer = Answer(told["verb"], told["reason_code"], told["comment"], kept=kept)
        try:
            save_draft(pk, answer, by=by, rev=rev, bulk_op=done.bulk_op)
        except DomainError as refusal:
            done.refused[pk] = refusal
        else:
            done.drafted.append(pk)
    return done
