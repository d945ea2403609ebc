"""Who checks an answer: found along the chain of the review, and neither asked about the item nor able to see it.

What keeps a reviewer from an item keeps her from checking it, and so does having been asked about it, having said yes
to the access at any time, and seeing what was answered: by a role that reads every review, by running this one, by
standing in for somebody, or by another account. Who sees the answer is not blind.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import replace
from itertools import batched
from typing import Final
from uuid import UUID

from django.db import connection

from entitlements import independence
from entitlements.models import Person
from governance import reviewing
from governance.models import Assignment, ReviewDecision, SpotCheck
from governance.reviewing import SPOT_CHECK, Around, Bar, Choice

from . import around, assigning, seeing

_AT_ONCE: Final = 500
_APPROVED: Final = """
SELECT DISTINCT p.item_id, b.login FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
JOIN governance_approval v ON v.request_id = g.request_id AND v.answer = 'approved'
JOIN entitlements_person b ON b.id IN (v.by_id, v.in_place_of_id) WHERE p.item_id = ANY(%s::uuid[])
"""


def find(
    items: Sequence[UUID], *, load: Counter[str], cap: int | None, known: MutableMapping[str, Person]
) -> Iterator[tuple[UUID, Person | None, Choice]]:
    """Yield for each item who checks its answer and how she was found; nobody where nobody is independent enough.

    `load` counts what each was asked, and grows; nobody gets more than `cap`. `known` keeps whoever was looked up.
    """
    for some in batched(items, _AT_ONCE):
        for item, people in of_items(some):
            busy = frozenset(who for who, count in load.items() if cap is not None and count >= cap)
            choice = _choose(item, replace(people, busy=busy), load, known)
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
        for item, people in around.of_items(items, SPOT_CHECK)
    ]


def _choose(item: UUID, people: Around, load: Counter[str], known: MutableMapping[str, Person]) -> Choice:
    """Take the first whom nothing stands against, and pass over whoever the rules alone do not know of."""
    while True:
        choice = reviewing.resolve(people, load)
        who = choice.reviewer
        if who is None:
            return choice
        if who not in known:
            known[who] = Person.objects.get(login=who)
        why = against(known[who], item, people)
        if why is None:
            return choice
        sees = {who} if why == Bar.SEES_IT else set[str]()
        people = replace(people, sees=people.sees | sees, answered=people.answered | ({who} - sees))


def unfit(checks: Sequence[SpotCheck]) -> Iterator[tuple[SpotCheck, Bar]]:
    """Yield each of some open checks whose checker may not make it any more, with why."""
    accounts = {who: independence.accounts_of(who) for who in {each.checker for each in checks if each.checker}}
    for some in batched(checks, _AT_ONCE):
        people = dict(of_items([each.item_id for each in some]))
        for who, hers in accounts.items():
            mine = [each for each in some if each.checker == who]
            items = [each.item_id for each in mine]
            seen = {
                pk
                for one in hers
                for pk in seeing.items_visible_to(one).filter(pk__in=items).values_list("pk", flat=True)
            }
            for each in mine:
                why = assigning.against(who, people[each.item_id], hers)
                why = why or (Bar.SEES_IT if each.item_id in seen else None)
                if why is not None:
                    yield each, why


def against(person: Person, item: UUID, people: Around) -> Bar | None:
    """Say why somebody does not check an answer, through whichever account; None when nothing stands against her."""
    why = assigning.against(person, people)
    if why is not None:
        return why
    accounts = independence.accounts_of(person)
    sees = any(seeing.items_visible_to(each).filter(pk=item).exists() for each in accounts)
    return Bar.SEES_IT if sees else None
