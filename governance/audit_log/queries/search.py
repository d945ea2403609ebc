"""What the command bar and the search page find: names and identifiers, of what the person may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.people.role_limits import NOTHING
from governance.requests import requests
from governance.reviews.items import visibility as visibility_actions

_EACH: Final = 6
_SHORTEST: Final = 2
_LONGEST: Final = 200
_PLACES: Final = (
    (_("Request access"), "/requests/new/"),
    (_("Requests that wait for you"), "/requests/?waiting=me"),
    (_("Reviews"), "/reviews/"),
    (_("Agents"), "/agents/"),
    (_("Agents that act for me"), "/my-agents/"),
    (_("My connections"), "/connections/"),
    (_("Access that ends within a week"), "/grants/?ending=week"),
    (_("Systems & tools"), "/systems/"),
    (_("Connect a client"), "/connect/"),
    (_("Emergencies"), "/break-glass/"),
    (_("Stop everything"), "/stop/everything/"),
    (_("Stops and their receipts"), "/stop/"),
    (_("Audit"), "/audit/"),
    (_("Settings"), "/settings/"),
    (_("How you sign in"), "/settings/sign-in/"),
    (_("Trusted issuers"), "/settings/trusted-issuers/"),
)
"""Where the command bar leads by the beginning of a word; each page checks for itself who may open it."""
_SYNONYMS: Final = {
    "/settings/trusted-issuers/": (
        *(_("Identity providers"), _("IdP"), _("Federation"), _("OpenID Connect"), _("OIDC"), _("SSO"), _("ID-JAG")),
        *(_("Cross App Access"), _("XAA"), _("Okta"), _("Entra"), _("Keycloak"), _("JWKS")),
    ),
    "/connections/": (_("Connected apps"), _("Connected clients"), _("Sign-ins"), _("Signed in"), _("Sessions")),
}
"""What else people call a place."""


_KINDS: Final[Mapping[str, tuple[Callable[[Caller], QuerySet[Any]], str]]] = {
    "agent": (visibility.agents, "slug"),
    "group": (visibility.groups, "slug"),
    "person": (visibility.people, "login"),
    "system": (visibility.systems, "slug"),
}
"""What has a name and a short name: the rows that a caller sees, and the field of the short name."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One thing found."""

    kind: Any
    name: str
    more: str
    address: str


def find(caller: Caller, text: str) -> list[SearchHit]:
    """Find what a text names; an identifier leads straight to the one thing it names."""
    text = text.strip()[:_LONGEST]
    if len(text) < _SHORTEST:
        return []
    uuid = _uuid(text)
    return list(_by_id(caller, uuid) if uuid else _by_name(caller, text))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.partition(":")[2] or text)
    except ValueError:
        return None


def _by_id(caller: Caller, key: UUID) -> Iterator[SearchHit]:
    short = str(key)[:8]
    if grant := visibility.grants(caller).filter(pk=key).first():
        yield SearchHit(_("Access"), f"{grant.agent.name}: {grant.entitlement.name}", short, f"/grants/{key}/")
    if caller.human and (access_request := requests.visible_to(caller.human).filter(pk=key).first()):
        yield SearchHit(
            _("Request"), f"{access_request.agent.name}: {access_request.entitlement.name}", short, f"/requests/{key}/"
        )
    if session := visibility.sessions(caller).filter(pk=key).first():
        yield SearchHit(_("Session"), str(session.agent.name), short, f"/audit/?about=session:{key}")
    if family := visibility.token_families(caller).filter(pk=key).first():
        at = family.system.name if family.system else ""
        yield SearchHit(_("Sign-in"), family.client.name, at, f"/audit/?about=token_family:{key}")
    if token := visibility.tokens(caller).filter(pk=key).first():
        yield SearchHit(_("Token"), token.system.name, short, f"/audit/?about=token:{key}")
    if visibility.revocations(caller).filter(pk=key).exists():
        yield SearchHit(_("Receipt of a stop"), short, "", f"/stop/receipts/{key}/")
    if caller.reach(*visibility.READERS) != NOTHING:
        if event := visibility.log_events(caller, Event.objects.filter(uuid=key)).first():
            yield SearchHit(_("Event"), event.action, event.actor, f"/audit/?about=event:{key}")
        if visibility.log_events(caller, Event.objects.filter(trace=key.hex)).exists():
            yield SearchHit(_("Trace"), key.hex, "", f"/audit/?about=trace:{key.hex}")


def named(caller: Caller, kind: str, text: str) -> QuerySet[Any]:
    """Return what a caller sees of a kind whose name or short name has a text; the kinds are those of a combobox."""
    rows, key = _KINDS[kind]
    return rows(caller).filter(_named(key, text))


def _named(key: str, text: str) -> Q:
    return Q(**{f"{key}__icontains": text}) | Q(name__icontains=text)


def _places(text: str) -> Iterator[SearchHit]:
    for label, address in _PLACES:
        names = [str(name).casefold() for name in (label, *_SYNONYMS.get(address, ()))]
        if any(word.startswith(text.casefold()) for name in names for word in (name, *name.split())):
            yield SearchHit(_("Go to"), str(label), "", address)


def _by_name(caller: Caller, text: str) -> Iterator[SearchHit]:
    yield from _places(text)
    for agent in named(caller, "agent", text).order_by("slug")[:_EACH]:
        yield SearchHit(_("Agent"), agent.name, agent.slug, f"/agents/{agent.slug}/")
    for system in named(caller, "system", text).order_by("slug")[:_EACH]:
        yield SearchHit(_("System"), system.name, system.slug, f"/systems/{system.slug}/")
    for tool in visibility.tools(caller).filter(Q(name__icontains=text) | Q(sentence__icontains=text))[:_EACH]:
        yield SearchHit(
            _("Tool"), tool.sentence or tool.name, tool.name, f"/systems/{tool.system.slug}/tools/{tool.name}/"
        )
    for person in named(caller, "person", text)[:_EACH]:
        yield SearchHit(_("Person"), person.name, person.login, f"/people/{person.login}/")
    if caller.human:
        reviews = visibility_actions.campaigns_visible_to(caller.human).filter(_named("slug", text))
        for review in reviews.order_by("-created_at")[:_EACH]:
            yield SearchHit(_("Review"), review.name, review.slug, f"/reviews/{review.slug}/")
    entitlements = visibility.entitlements(caller).filter(Q(scope__icontains=text) | Q(name__icontains=text))
    for entitlement in entitlements.order_by("scope")[:_EACH]:
        yield SearchHit(
            _("Can be asked for"),
            entitlement.name,
            entitlement.scope,
            f"/systems/{entitlement.system.slug}/?tab=entitlements",
        )
