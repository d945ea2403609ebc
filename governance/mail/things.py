"""What notices are about: the notices of one mail by thing, and what each thing is called.

A name is not hidden from a person who has a notice of the thing: the notice says it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.people_sources.models import PeopleSource
from governance.break_glass.models import BreakGlassGrant
from governance.notices.models import Notice
from governance.onboarding.models import OnboardingBatch
from governance.requests.models import AccessRequest
from governance.reviews.campaigns.models import Campaign

_KINDS: Final[Mapping[str, Any]] = {
    "adoption": _("Onboarding"),
    "agent": _("Agent"),
    "approval_rule": _("Auto-approval rule"),
    "campaign": _("Access review"),
    "client": _("Client"),
    "credential": _("Credential"),
    "emergency": _("Break-glass access"),
    "grant": _("Access"),
    "person": _("Person"),
    "question": _("Review question"),
    "request": _("Access request"),
    "setup": _("Set-up"),
    "source": _("People source"),
    "token_family": _("Sign-in"),
    "tool": _("Tool"),
}
_ROWS: Final[Mapping[str, tuple[QuerySet[Any], str, tuple[str, ...]]]] = {
    "adoption": (OnboardingBatch.objects.all(), "pk", ("file_name",)),
    "agent": (Agent.objects.all(), "slug", ("name",)),
    "campaign": (Campaign.objects.all(), "slug", ("name",)),
    "emergency": (BreakGlassGrant.objects.all(), "pk", ("grant__agent__name", "grant__entitlement__name")),
    "grant": (Grant.objects.all(), "pk", ("agent__name", "entitlement__name")),
    "person": (Person.objects.all(), "login", ("name",)),
    "request": (AccessRequest.objects.all(), "pk", ("agent__name", "entitlement__name")),
    "source": (PeopleSource.objects.all(), "slug", ("name",)),
}
"""The rows of a kind, the field that a link names them by, and the fields that make up the name."""
_SAID: Final = ("client", "tool")
"""Kinds whose key is what people call it."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something and its notices: the urgent first, then the newest. Its page is that of the first notice."""

    about: str
    notices: tuple[Notice, ...]

    @property
    def url(self) -> str:
        """The path of the console's page."""
        return self.notices[0].url


def group(notices: Iterable[Notice]) -> list[Thing]:
    """Return notices by what they are about: what has an urgent one first, then that of the newest notice."""
    by_thing: dict[str, list[Notice]] = defaultdict(list)
    for notice in notices:
        by_thing[notice.about].append(notice)
    found = [Thing(about, tuple(sorted(each, key=_weight, reverse=True))) for about, each in by_thing.items()]
    return sorted(found, key=lambda thing: max(map(_weight, thing.notices)), reverse=True)


def _weight(notice: Notice) -> tuple[bool, Any, str]:
    return notice.urgent, notice.made_at, str(notice.pk)


def names(things: Sequence[Thing]) -> dict[str, str]:
    """Return what each thing is called, by its link: its kind, and its name where it has one; a query for each kind."""
    keys: dict[str, set[str]] = defaultdict(set)
    for thing in things:
        kind, _colon, key = thing.about.partition(":")
        keys[kind].add(key)
    found = {f"{kind}:{key}": name for kind, wanted in keys.items() for key, name in _names(kind, wanted).items()}
    return {thing.about: _title(thing.about, found.get(thing.about, "")) for thing in things}


def _names(kind: str, keys: Iterable[str]) -> dict[str, str]:
    if kind in _SAID:
        return {key: key for key in keys}
    if kind not in _ROWS:
        return {}
    rows, column, fields = _ROWS[kind]
    wanted = [key for key in keys if column != "pk" or _is_uuid(key)]
    values = rows.filter(**{f"{column}__in": wanted}).order_by().values_list(column, *fields)
    return {str(key): ": ".join(name) for key, *name in values}


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _title(about: str, name: str) -> str:
    kind = str(_KINDS.get(about.partition(":")[0], _("Other")))
    return f"{kind}: {name}" if name else kind
