"""Whether an answer fits its item as it is now: the lines that are left, their limits, and when the access ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Max

from entitlements.decisions import limits
from governance.deciders.review_rules import Verb
from governance.reviews.decisions.models import Draft
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population.models import PopulationRow

from . import answer as answer_actions
from .answer import Answer
from .errors import BadAnswer


@dataclass(frozen=True, slots=True)
class _Known:
    """What an answer is checked against: the lines that are left, the last end of the access, each line's limits."""

    left: Sequence[int]
    end: datetime | None
    caps: Mapping[int, Mapping[str, Any]]


def chosen(item: ReviewItem, answer: Answer) -> list[int]:
    """Return the lines that an answer keeps. Raises BadAnswer if it does not fit its item."""
    return _chosen(item, answer, _known({item.pk: answer})[item.pk])


def outdated(drafts: Iterable[Draft]) -> dict[UUID, str]:
    """Return the items whose drafts do not fit any more, each with the field that does not."""
    items = {draft.assignment.item_id: draft.assignment.item for draft in drafts}
    answers = {draft.assignment.item_id: answer_actions.drafted(draft) for draft in drafts}
    known, wrong_fields = _known(answers), dict[UUID, str]()
    for pk, answer in answers.items():
        try:
            answer.check()
            _chosen(items[pk], answer, known[pk])
        except BadAnswer as refusal:
            wrong_fields[pk] = str(refusal.detail.get("field", "verb"))
    return wrong_fields


def lines_left(items: Iterable[UUID]) -> dict[UUID, list[int]]:
    """Return the lines of each item that no removal in effect has taken away, as the database sees it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT i, governance_lines_left(i) FROM unnest(%s::uuid[]) AS i", [list(items)])
        return dict(cursor.fetchall())


def _known(answers: Mapping[UUID, Answer]) -> dict[UUID, _Known]:
    left = lines_left(answers)
    ending = [pk for pk, answer in answers.items() if answer.valid_until]
    held = PopulationRow.objects.filter(item__in=ending, grant__ended_at=None).order_by().values_list("item")
    ends = dict(held.annotate(end=Max("grant__expires_at"))) if ending else {}
    limited = [line for answer in answers.values() if answer.limits for line in answer.kept]
    caps = dict(ReviewLine.objects.filter(pk__in=limited).values_list("pk", "limits")) if limited else {}
    return {
        pk: _Known(left[pk], ends.get(pk), {line: caps[line] for line in answer.kept if line in caps})
        for pk, answer in answers.items()
    }


def _chosen(item: ReviewItem, answer: Answer, known: _Known) -> list[int]:
    """Return the lines that an answer keeps. Raises BadAnswer unless a reduction keeps some, and takes some away."""
    _check_kind(item, answer)
    if answer.verb not in (Verb.CERTIFY, Verb.REDUCE):
        return []
    if answer.valid_until and (known.end is None or known.end <= answer.valid_until):
        raise BadAnswer(field="valid_until")
    left = list(known.left)
    if answer.verb == Verb.CERTIFY:
        return left
    kept = sorted(set(answer.kept))
    if not kept or not set(kept) <= set(left) or (len(kept) == len(left) and not answer.limits):
        raise BadAnswer(field="kept", lines=left)
    for line, cap in answer.limits.items():
        if line not in known.caps or dict(cap) == known.caps[line] or not limits.tightens(known.caps[line], cap):
            raise BadAnswer(field="limits", line=line)
    return kept


def _check_kind(item: ReviewItem, answer: Answer) -> None:
    """Refuse what only access can have: an earlier end, tighter limits, a later day; and to keep some without parts.

    An item that is kept as a whole takes no reduction and no earlier end.
    """
    if item.is_whole and (answer.verb == Verb.REDUCE or answer.valid_until):
        raise BadAnswer(field="valid_until" if answer.valid_until else "verb", strategy="all_must_keep")
    if item.subject_kind == ReviewItem.Subject.ACCESS:
        return
    for name in ("valid_until", "limits", "effective_at"):
        if getattr(answer, name):
            raise BadAnswer(field=name)
    if answer.verb == Verb.REDUCE and item.subject_kind != ReviewItem.Subject.ENTITLEMENT:
        raise BadAnswer(verb=answer.verb)
