"""Who makes a spot check: found along the chain of the review, neither asked about the item nor able to see the answer.

Every conflict of interest of a reviewer counts, and so do: having been asked about the item, having approved the access
at any time, and seeing the answer by a role, by owning the campaign, as a delegate, or by another account.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import replace
from itertools import batched
from typing import Final
from uuid import UUID

from django.db import connection

from entitlements.conflicts import independence
from entitlements.people.models import Person
from governance.deciders import review_rules
from governance.deciders.review_rules import SPOT_CHECK, Around, Bar, Choice
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import visibility
from governance.reviews.reviewers.models import Assignment
from governance.reviews.spot_checks.models import SpotCheck

from . import assignment, facts

_AT_ONCE: Final = 500
_APPROVED: Final = """
SELECT DISTINCT p.item_id, b.login FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
JOIN governance_approval v ON v.request_id = g.request_id AND v.answer = 'approved'
JOIN entitlements_person b ON b.id IN (v.by_id, v.in_place_of_id) WHERE p.item_id = ANY(%s::uuid[])
"""


def find(
    items: Sequence[UUID], *, load: Counter[str], cap: int | None, known: MutableMapping[str, Person]
) -> Iterator[tuple[UUID, Person | None, Choice]]:
    """Yield for each item who checks its answer, None where no person is independent enough, and how they were found.

    `load` counts what each person was asked, and grows, up to `cap`. `known` keeps the people that were looked up.
    """
    for batch in batched(items, _AT_ONCE):
        voices = _Voices(batch)
        for item, people in of_items(batch):
            busy = frozenset(login for login, count in load.items() if cap is not None and count >= cap)
            choice = _choose(item, replace(people, busy=busy), load, known, voices)
            if choice.reviewer:
                load[choice.reviewer] += 1
            yield item, known[choice.reviewer] if choice.reviewer else None, choice


def of_items(items: Sequence[UUID]) -> list[tuple[UUID, Around]]:
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
        for item, people in facts.people_around(items, SPOT_CHECK)
    ]


class _Voices:
    """The accounts of people and which of some items they see: read once a person, since a few come up all the time."""

    def __init__(self, items: Sequence[UUID]) -> None:
        """Begin with no person read."""
        self._items, self._read = items, dict[str, tuple[list[Person], set[UUID]]]()

    def against(self, person: Person, item: UUID, people: Around) -> Bar | None:
        """Return why a person may not check an answer, by any of their accounts; None where they may."""
        if person.login not in self._read:
            accounts, sees = independence.accounts_of(person), set[UUID]()
            for each in accounts:
                sees |= set(visibility.items_visible_to(each).filter(pk__in=self._items).values_list("pk", flat=True))
            self._read[person.login] = accounts, sees
        accounts, sees = self._read[person.login]
        return assignment.against(person, people, accounts) or (Bar.SEES_IT if item in sees else None)


def _choose(
    item: UUID, people: Around, load: Counter[str], known: MutableMapping[str, Person], voices: _Voices
) -> Choice:
    """Take the first person without a conflict, also of those conflicts that the rules alone do not know."""
    while True:
        choice = review_rules.resolve(people, load)
        login = choice.reviewer
        if login is None:
            return choice
        if login not in known:
            known[login] = Person.objects.get(login=login)
        bar = voices.against(known[login], item, people)
        if bar is None:
            return choice
        sees = {login} if bar == Bar.SEES_IT else set[str]()
        people = replace(people, sees=people.sees | sees, answered=people.answered | ({login} - sees))


def unfit(checks: Sequence[SpotCheck]) -> Iterator[tuple[SpotCheck, Bar]]:
    """Yield each of some open checks whose checker may not make it any more, with why."""
    for batch in batched(checks, _AT_ONCE):
        items = [each.item_id for each in batch]
        voices, people = _Voices(items), dict(of_items(items))
        for each in batch:
            if each.checker and (bar := voices.against(each.checker, each.item_id, people[each.item_id])) is not None:
                yield each, bar


def against(person: Person, item: UUID, people: Around) -> Bar | None:
    """Return why a person may not check an answer, by any of their accounts; None where they may."""
    return _Voices([item]).against(person, item, people)
