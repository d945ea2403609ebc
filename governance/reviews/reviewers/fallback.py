"""The group that is asked where the chain of a review finds nobody: at least two people who are here, or it is not.

That is looked at when it is named, by a trigger as well, and again each time somebody is to be asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from entitlements.errors import DomainError
from entitlements.people import mailboxes
from entitlements.people.models import Group

FEWEST: Final = 2
"""How many people a group has at least: one alone would be a person named beforehand."""


class FallbackUnfit(DomainError):
    """Only a group of at least two people who are here can be asked where nobody else is left."""

    code, status = "fallback_group_unfit", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Asked:
    """A group by its short name, with its people and which of them are here; nobody where they are too few."""

    slug: str
    members: frozenset[str]
    active: frozenset[str]


NOBODY: Final = Asked("", frozenset(), frozenset())


def fit(slug: str) -> Group | None:
    """Find a group that may be asked; no name is no group. Raises FallbackUnfit."""
    if not slug:
        return None
    group = Group.objects.filter(slug=slug).first()
    if group is None or not read([group.pk])[group.pk].members:
        raise FallbackUnfit(group=slug[:64])
    return group


def read(groups: Iterable[int]) -> dict[int, Asked]:
    """Read who would be asked in each group now; accounts of one mailbox are one person."""
    slugs: dict[int, str] = {}
    everybody, here, humans = (
        defaultdict[int, set[str]](set),
        defaultdict[int, set[str]](set),
        defaultdict[int, set[str]](set),
    )
    told = ("pk", "slug", "people__login", "people__is_active", "people__email")
    for pk, slug, login, is_active, email in Group.objects.filter(pk__in=set(groups)).values_list(*told):
        slugs[pk] = slug
        everybody[pk] |= {login} - {None}
        if is_active:
            here[pk].add(login)
            humans[pk].add(mailboxes.human(email, login))
    return {
        pk: Asked(slug, frozenset(everybody[pk]), frozenset(here[pk]))
        if len(humans[pk]) >= FEWEST
        else Asked(slug, frozenset(), frozenset())
        for pk, slug in slugs.items()
    }
