"""Who makes a spot check: found along the chain of the review, neither asked about the item nor able to see the answer.

Every conflict of interest of a reviewer counts, and so do: having been asked about the item, having approved the access
at any time, and seeing the answer by a role, by owning the campaign, as a delegate, or by another account.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import batched
from typing import Any, Final
from uuid import UUID

from django.db import connection

from entitlements.conflicts import independence
from entitlements.people.models import Person
from governance.conflicts_of_interest import routing
from governance.conflicts_of_interest.routing import SPOT_CHECK, ItemPeople, Route
from governance.conflicts_of_interest.rules import Reason
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import visibility
from governance.reviews.reviewers.models import Assignment

from . import assignment, facts

_AT_ONCE: Final = 500
_APPROVED: Final = """
SELECT DISTINCT p.item_id, b.login FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
JOIN governance_approval v ON v.request_id = g.request_id AND v.answer = 'approved'
JOIN entitlements_person b ON b.id IN (v.by_id, v.in_place_of_id) WHERE p.item_id = ANY(%s::uuid[])
"""


def find(
    items: Sequence[UUID], *, load: Counter[str], cap: int | None, known: MutableMapping[str, Person], at: datetime
) -> Iterator[tuple[UUID, Person | None, dict[str, Any]]]:
    """Yield for each item who checks its answer, or None where everybody has a conflict, and what is stored of it.

    `load` counts what each was asked, and grows; no person gets more than `cap`. `known` keeps the people looked up.
    """
    for ids in batched(items, _AT_ONCE):
        voices = _Voices(ids)
        for item, people in of_items(ids):
            busy = frozenset(who for who, count in load.items() if cap is not None and count >= cap)
            who, route = _choose(item, replace(people, busy=busy), load, known, voices)
            if who:
                load[who] += 1
            yield item, known[who] if who else None, assignment.evidence(route, who, people, at)


def of_items(items: Sequence[UUID]) -> list[tuple[UUID, ItemPeople]]:
    """Read the people around the answers of some items, as they are now."""
    asked, approved = defaultdict[UUID, set[str]](set), defaultdict[UUID, set[str]](set)
    for model, person in ((Assignment, "reviewer__login"), (ReviewDecision, "decided_by__login")):
        for item, login in model._default_manager.filter(item__in=items).values_list("item", person):  # noqa: SLF001 - either of two
            asked[item] |= {login} - {None}
    with connection.cursor() as cursor:
        cursor.execute(_APPROVED, [list(items)])
        for item, login in cursor.fetchall():
            approved[item].add(login)
    return [
        (item, replace(people, answered=people.answered | asked[item], approvers=people.approvers | approved[item]))
        for item, people in facts.people_of_items(items, SPOT_CHECK)
    ]


class _Voices:
    """The accounts of people and which of some items they see: read once a person, since a few come up all the time."""

    def __init__(self, items: Sequence[UUID]) -> None:
        """Begin with no person read."""
        self._items, self._read = items, dict[str, tuple[list[Person], set[UUID]]]()

    def against(self, person: Person, item: UUID, people: ItemPeople) -> Reason | None:
        """Say why somebody does not check an answer, through whichever account; None when nothing stands against it."""
        if person.login not in self._read:
            accounts, sees = independence.accounts_of(person), set[UUID]()
            for each in accounts:
                sees |= set(visibility.items_visible_to(each).filter(pk__in=self._items).values_list("pk", flat=True))
            self._read[person.login] = accounts, sees
        accounts, sees = self._read[person.login]
        why = assignment.against(person, people, accounts)
        return why or (Reason.SEES_IT if item in sees else None)


def _choose(
    item: UUID, people: ItemPeople, load: Counter[str], known: MutableMapping[str, Person], voices: _Voices
) -> tuple[str | None, Route]:
    """Take the first who has no conflict; the conflicts of a second account are known only once a person is read."""
    while True:
        route = routing.reviewers(people)
        who = routing.least_busy(route, load)
        if who is None:
            return None, route
        if who not in known:
            known[who] = Person.objects.get(login=who)
        why = voices.against(known[who], item, people)
        if why is None:
            return who, route
        sees = {who} if why == Reason.SEES_IT else set[str]()
        people = replace(people, sees=people.sees | sees, answered=people.answered | ({who} - sees))


def against(person: Person, item: UUID, people: ItemPeople) -> Reason | None:
    """Say why somebody does not check an answer, through whichever account; None when nothing stands against her."""
    return _Voices([item]).against(person, item, people)
