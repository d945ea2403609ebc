"""What the links of events are called: display names for ids, of what the reader may see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.clients.models import Client
from entitlements.people.models import Group, Person
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.reviews.items import visibility as review_visibility

SYSTEM: Final = "system:mandate"


def of(links: Iterable[str], caller: Caller) -> dict[str, str]:
    """Return the names of links "kind:id" that have one, in a query for each kind."""
    keys: dict[str, set[str]] = defaultdict(set)
    for link in links:
        kind, _colon, key = link.partition(":")
        keys[kind].add(key)
    names = {SYSTEM: _("Mandate")}
    for kind, wanted in keys.items():
        if kind in _SLUGS:
            rows, column = _SLUGS[kind]
            found = rows(caller).filter(**{f"{column}__in": wanted})
            names |= {f"{kind}:{key}": name for key, name in found.values_list(column, "name") if name}
        elif kind in _IDS:
            found = _IDS[kind](caller).filter(pk__in=[key for key in wanted if is_uuid(key)])
            values = found.order_by().values_list("pk", "agent__name", "entitlement__name")
            names |= {f"{kind}:{pk}": f"{agent}: {what}" for pk, agent, what in values}
    return names


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _requests(caller: Caller) -> QuerySet[Any]:
    return requests.visible_to(caller.human) if caller.human else AccessRequest.objects.none()


def _campaigns(caller: Caller) -> QuerySet[Any]:
    person = caller.human
    return review_visibility.campaigns_visible_to(person) if person else visibility.grants(caller).none()


_SLUGS: Final[Mapping[str, tuple[Callable[[Caller], QuerySet[Any]], str]]] = {
    "person": (lambda _caller: Person.objects.all(), "login"),
    "group": (lambda _caller: Group.objects.all(), "slug"),
    "agent": (visibility.agents, "slug"),
    "system": (visibility.systems, "slug"),
    "client": (lambda _caller: Client.objects.all(), "client_id"),
    "campaign": (_campaigns, "slug"),
    "entitlement": (visibility.entitlements, "scope"),
}
_IDS: Final[Mapping[str, Callable[[Caller], QuerySet[Any]]]] = {"grant": visibility.grants, "request": _requests}
