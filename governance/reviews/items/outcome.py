"""The combined result of the answers to an item: the lines that all of them keep, the last limit, the earliest end.

The strictest answer is the outcome; what another stage removed stays removed all the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.review_rules import Verb
from governance.reviews.remediation.models import Remediation

CUTS: Final = Q(verb__in=[Verb.REVOKE, Verb.REDUCE]) | Q(valid_until__isnull=False)
"""Selects the answers that take something away."""


@dataclass(frozen=True, slots=True)
class CombinedAnswers:
    """The answers that count for an item, by stage; each was given on what the one before had left."""

    answers: Sequence[ReviewDecision] = ()

    def keeps(self, line: int) -> bool:
        """Whether every answer keeps a line."""
        return all(line in each.kept_lines for each in self.answers)

    def limits(self, line: int) -> Mapping[str, Any]:
        """Return the limits of a line by its last answer that tightened it; empty where none did."""
        limits = [each.limits[str(line)] for each in self.answers if str(line) in each.limits]
        return limits[-1] if limits else {}

    @property
    def valid_until(self) -> datetime | None:
        """The earliest end that an answer sets; None where none sets one."""
        return min((each.valid_until for each in self.answers if each.valid_until), default=None)


def standing() -> QuerySet[ReviewDecision]:
    """Return the answers that count: neither recalled nor abstained."""
    return ReviewDecision.objects.filter(taken_back=None).exclude(verb=Verb.ABSTAIN)


def combined(items: Collection[UUID]) -> dict[UUID, CombinedAnswers]:
    """Return the combined answers by item; items without an answer are left out."""
    answers_by_item: dict[UUID, list[ReviewDecision]] = defaultdict(list)
    for answer in standing().filter(item__in=items).order_by("stage"):
        answers_by_item[answer.item_id].append(answer)
    return {item: CombinedAnswers(answers) for item, answers in answers_by_item.items()}


def removals(items: Collection[UUID]) -> dict[UUID, list[Remediation]]:
    """Return the removals by item that were not withdrawn, by stage: also those of earlier stages."""
    by_item: dict[UUID, list[Remediation]] = defaultdict(list)
    rows = Remediation.objects.filter(decision__item__in=items, decision__taken_back=None)
    rows = rows.exclude(state=Remediation.State.WITHDRAWN).select_related("decision")
    for removal in rows.order_by("decision__stage"):
        by_item[removal.decision.item_id].append(removal)
    return by_item
