"""What the command bar and the search page find: names and identifiers, of what the person may see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.people.role_limits import NOTHING
from governance.connect import queries as connect_queries
from governance.console import doors
from governance.requests import queries as requests_queries
from governance.requests import requests
from governance.reviews.items import visibility as visibility_actions

from . import places

_EACH: Final = 6
_MOST_NAMED: Final = 50
_SHORTEST: Final = 2
_LONGEST: Final = 200
_MOST_WORDS: Final = 8
_QUESTION: Final = re.compile(r"(?i)who can (?:call|use) ")


def _requestable_agents(caller: Caller) -> QuerySet[Any]:
    return requests_queries.requestable_agents(caller.human, caller) if caller.human else Agent.objects.none()


def _shared_agents(caller: Caller) -> QuerySet[Any]:
    return visibility.agents(caller).filter(kind=Agent.Kind.SHARED, status=Agent.Status.ACTIVE)


_KINDS: Final[Mapping[str, tuple[Callable[[Caller], QuerySet[Any]], str]]] = {
    "agent": (visibility.agents, "slug"),
    "connectable_agent": (connect_queries.agents, "slug"),
    "group": (visibility.groups, "slug"),
    "person": (visibility.people, "login"),
    "requestable_agent": (_requestable_agents, "slug"),
    "shared_agent": (_shared_agents, "slug"),
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
    """Find what a text names; an identifier leads straight to the one thing it names. Without a text: the actions."""
    text = text.strip()[:_LONGEST]
    if not text:
        return [SearchHit(_("Action"), str(place.label), "", place.address) for place in places.actions(caller)]
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
    short, audit = str(key)[:8], reverse("audit")
    if grant := visibility.grants(caller).filter(pk=key).first():
        yield SearchHit(
            _("Access"), f"{grant.agent.name}: {grant.entitlement.name}", short, reverse("grant-page", args=[key])
        )
    if caller.human and (access_request := requests.visible_to(caller.human).filter(pk=key).first()):
        yield SearchHit(
            _("Request"),
            f"{access_request.agent.name}: {access_request.entitlement.name}",
            short,
            reverse("request-page", args=[key]),
        )
    if session := visibility.sessions(caller).filter(pk=key).first():
        yield SearchHit(_("Session"), str(session.agent.name), short, reverse("session-page", args=[key]))
    if family := visibility.token_families(caller).filter(pk=key).first():
        at = family.system.name if family.system else ""
        yield SearchHit(_("Sign-in"), family.client.name, at, f"{audit}?about=token_family:{key}")
    if token := visibility.tokens(caller).filter(pk=key).first():
        yield SearchHit(_("Token"), token.system.name, short, f"{audit}?about=token:{key}")
    if visibility.revocations(caller).filter(pk=key).exists():
        yield SearchHit(_("Revocation receipt"), short, "", reverse("receipt", args=[key]))
    if caller.reach(*visibility.READERS) != NOTHING:
        if event := visibility.log_events(caller, Event.objects.filter(uuid=key)).first():
            yield SearchHit(_("Event"), event.action, event.actor, f"{audit}?about=event:{key}")
        if visibility.log_events(caller, Event.objects.filter(trace=key.hex)).exists():
            yield SearchHit(_("Trace"), key.hex, "", f"{audit}?about=trace:{key.hex}")


def rows(caller: Caller, kind: str) -> QuerySet[Any]:
    """Return what a caller sees of a kind; the kinds are those of a combobox."""
    return _KINDS[kind][0](caller)


def named(caller: Caller, kind: str, text: str) -> QuerySet[Any]:
    """Return what a caller sees of a kind whose name or short name has a text; the kinds are those of a combobox."""
    return rows(caller, kind).filter(_named(_KINDS[kind][1], text))


def _named(key: str, text: str) -> Q:
    return Q(**{f"{key}__icontains": text}) | Q(name__icontains=text)


def _names_tool(text: str) -> Q:
    """Return which tools a text names: by a part of the name or the sentence, or as `system/tool`."""
    system, slash, name = text.partition("/")
    alone = Q(name__icontains=text) | Q(sentence__icontains=text)
    return alone | Q(system__slug__icontains=system, name__icontains=name) if slash else alone


def _places(caller: Caller, text: str) -> Iterator[SearchHit]:
    seen = set()
    for place in places.find(caller, text):
        if place.address not in seen:
            kind = _("Action") if place.is_action else _("Go to")
            yield SearchHit(kind, str(place.label), "", place.address)
        seen.add(place.address)


def who_can(caller: Caller, text: str) -> Iterator[SearchHit]:
    """Yield the pages that say who can call the tools, or use the entitlements, that all words of a text name.

    A tool as `system/tool` and the scope of an entitlement lead to it alone.
    """
    text = _QUESTION.sub("", text.strip()[:_LONGEST])
    tools, entitlements = visibility.tools(caller), visibility.entitlements(caller)
    system, _slash, name = text.partition("/")
    one = tools.filter(system__slug=system, name=name), entitlements.filter(scope=text)
    if not any(rows.exists() for rows in one):
        of_tool = ("name", "sentence", "system__slug", "system__name", "risk")
        for word in re.split(r"[\s/]+", text)[:_MOST_WORDS]:
            tools = tools.filter(_has(word, *of_tool))
            entitlements = entitlements.filter(_has(word, "name", "scope", "system__name"))
        one = tools, entitlements
    page = reverse("who-can")
    for tool in one[0].order_by("system__slug", "name")[:_MOST_NAMED]:
        query = urlencode({"tool": f"{tool.system.slug}/{tool.name}"})
        yield SearchHit(_("Tool"), tool.name, tool.system.name, f"{page}?{query}")
    for entitlement in one[1].order_by("scope")[:_MOST_NAMED]:
        query = urlencode({"entitlement": entitlement.scope})
        yield SearchHit(_("Entitlement"), entitlement.name, entitlement.scope, f"{page}?{query}")


def _has(word: str, *columns: str) -> Q:
    return Q(*(Q(**{f"{column}__icontains": word}) for column in columns), _connector=Q.OR)


def _acts(caller: Caller, text: str) -> Iterator[SearchHit]:
    """Yield what a text that begins with a verb would do, as "suspend payroll", and what answers a question."""
    if _QUESTION.match(text) and doors.may(caller, "decisions-who-can", None, "GET"):
        for hit in islice(who_can(caller, text), _EACH):
            name = _("Who can call %(what)s") if hit.kind == _("Tool") else _("Who can use %(what)s")
            yield SearchHit(_("Question"), name % {"what": hit.name}, hit.more, hit.address)
    verb, _space, rest = text.partition(" ")
    if len(rest := rest.strip()) < _SHORTEST:
        return
    agents = named(caller, "agent", rest)
    if verb.casefold() == str(_("suspend")).casefold():
        for agent in agents.filter(status=Agent.Status.ACTIVE).order_by("slug")[:_EACH]:
            yield from _suspending(caller, agent)
    if verb.casefold() == str(_("revoke")).casefold():
        held = visibility.grants(caller).filter(ended_at=None, agent__in=agents.values("pk"))
        for grant in held.order_by("agent__slug")[:_EACH]:
            if doors.may(caller, "grant-revoke", grant):
                name = _("Revoke %(agent)s: %(what)s") % {"agent": grant.agent.name, "what": grant.entitlement.name}
                yield SearchHit(_("Action"), name, "", reverse("stop", args=["grant", grant.pk]))


def _suspending(caller: Caller, agent: Agent) -> Iterator[SearchHit]:
    if agent.status == Agent.Status.ACTIVE and doors.may(caller, "agent-suspend", agent):
        name = _("Suspend %(agent)s") % {"agent": agent.name}
        yield SearchHit(_("Action"), name, agent.slug, reverse("stop", args=["agent", agent.slug]))


def _by_name(caller: Caller, text: str) -> Iterator[SearchHit]:
    yield from _places(caller, text)
    yield from _acts(caller, text)
    agents = list(named(caller, "agent", text).order_by("slug")[:_EACH])
    for agent in agents:
        yield SearchHit(_("Agent"), agent.name, agent.slug, reverse("agent-page", args=[agent.slug]))
    for system in named(caller, "system", text).order_by("slug")[:_EACH]:
        yield SearchHit(_("System"), system.name, system.slug, reverse("system-page", args=[system.slug]))
    for tool in visibility.tools(caller).filter(_names_tool(text))[:_EACH]:
        yield SearchHit(
            _("Tool"),
            tool.sentence or tool.name,
            tool.name,
            reverse("tool-page", args=[tool.system.slug, tool.name]),
        )
    for person in named(caller, "person", text)[:_EACH]:
        yield SearchHit(_("Person"), person.name, person.login, reverse("person-page", args=[person.login]))
    if caller.human:
        reviews = visibility_actions.campaigns_visible_to(caller.human).filter(_named("slug", text))
        for review in reviews.order_by("-created_at")[:_EACH]:
            yield SearchHit(_("Access review"), review.name, review.slug, reverse("review-page", args=[review.slug]))
    entitlements = visibility.entitlements(caller).filter(Q(scope__icontains=text) | Q(name__icontains=text))
    for entitlement in entitlements.order_by("scope")[:_EACH]:
        yield SearchHit(
            _("Entitlement"),
            entitlement.name,
            entitlement.scope,
            reverse("system-page", args=[entitlement.system.slug]) + "?tab=entitlements",
        )
    if len(agents) == 1:
        yield from _suspending(caller, agents[0])
