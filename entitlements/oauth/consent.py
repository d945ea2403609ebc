"""What the consent page of a system says: which client, as whom, and what its agent may do there for this person.

It asks the same rule as the token that follows, so what is shown is what is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext as _

from audit import clock
from entitlements import addresses, all_systems
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.client_documents import rules as document_rules
from entitlements.clients import callers
from entitlements.clients.callers import Caller, Target
from entitlements.clients.models import Client
from entitlements.codes import Code
from entitlements.connections import connected_agent, connections
from entitlements.decisions import facts, own_connection, policy
from entitlements.decisions.own_connection import READS
from entitlements.decisions.snapshot import Call
from entitlements.decisions.verdicts import Remedy, Verdict
from entitlements.edge.sign_in import families
from entitlements.people.models import Person
from entitlements.session_policies.rules import UNKNOWN, SignedIn
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens import issue
from entitlements.tokens.issue import NotIssued, RedeemedToken, SignIn, Subject, TokenRequest
from entitlements.tokens.models import IssuedToken
from entitlements.words import Flow

SECONDS: Final = 60
"""How long the code lives that an agreement makes."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What the person is asked. Without tools `is_empty` says that access can be requested by the client itself.

    Else nothing can be agreed to: `refusal` says why, `request` what helps. `is_open` says that no scope was asked
    for: then what is granted later is agreed to as well (decision 73); else `later` names the entitlements that are
    asked for and not held. `needs_connection` says that consent first registers an agent of the person's own, through
    which the client acts. `denied` is the refusal as it is recorded.
    """

    client: Client
    person: Person
    system: System
    agent: str
    tools: list[Tool] = field(default_factory=list)
    is_open: bool = False
    is_empty: bool = False
    later: list[str] = field(default_factory=list)
    refusal: str = ""
    request: str = ""
    needs_connection: bool = False
    denied: NotIssued | None = None

    @property
    def can_be_allowed(self) -> bool:
        """Whether there is something to agree to: tools, or that the client may request access."""
        return bool(self.tools) or self.is_empty

    @property
    def is_claimed(self) -> bool:
        """Whether the client's name is only its own word."""
        return self.client.name_is_claimed

    @property
    def is_for_all_systems(self) -> bool:
        """Whether the client asks for every system behind the gateway at once."""
        return self.system.slug == addresses.ALL

    @property
    def client_host(self) -> str:
        """The host at which the client describes itself; empty for one that was registered."""
        client_id = str(self.client.client_id)
        return document_rules.host(client_id) if document_rules.is_address(client_id) else ""

    @property
    def lasts(self) -> str:
        """How long the client stays signed in, in a sentence."""
        return lasts(self.client)


def lasts(client: Client) -> str:
    """Say how long a client stays signed in whose sign-in lasts, in a sentence."""
    if client.auth == Client.Auth.NONE:
        return _("The client stays signed in for 12 hours at most.")
    return _("The client stays signed in for 30 days at most, and for 14 days without use.")


def known_scopes(system: System, asked: Iterable[str]) -> list[str]:
    """Return those of the scopes that are asked for which the system offers."""
    at = {"system__kind__in": System.SERVED} if system.slug == addresses.ALL else {"system": system}
    offered = set(Entitlement.objects.filter(enabled=True, **at).values_list("scope", flat=True))
    return [scope for scope in asked if scope in offered]


def client_at(client_id: str, system: System) -> tuple[Caller | None, Target | None]:
    """Return the client that an identifier means at a system, as its token endpoint will find it (EMA-I-10)."""
    target, caller, _ = own_connection.run(callers.find_at(READS, client_id, system.slug))
    return caller, target


def agent_for(client: Client, person: Person) -> Agent | None:
    """Return the agent through which a client acts for a person: its own, or the one of their open connection."""
    if client.serves != Client.Serves.PERSONAL_AGENTS:
        return client.agent
    connection = connections.latest(client, person)
    return connection.agent if connection is not None and connection.ended_at is None else None


def needs_connection(client: Client, person: Person) -> bool:
    """Whether a person's consent first connects them with a client, through an agent of their own."""
    return client.serves == Client.Serves.PERSONAL_AGENTS and agent_for(client, person) is None


def is_ended(client: Client, person: Person, auth_time: datetime) -> bool:
    """Whether the last session of this sign-in with the client's agent was ended: then a new sign-in is due."""
    agent = agent_for(client, person)
    digest = families.sign_in_digest(person.login, auth_time, agent.slug if agent else "")
    latest = own_connection.run(families.latest_session(READS, client.pk, person.pk, digest))
    if latest is None:
        return False
    _, was_ended, *_ = latest
    return was_ended


def is_agreed(client: Client, person: Person, system: System, asked: Iterable[str], redirect_uri: str) -> bool:
    """Whether a client with a proven identity may go without the question: the person agreed to all of this before.

    What they agreed to is with one agent, and counts until a sign-in or session of theirs at the client is ended since,
    by a person or by the product; one that ran out of time still counts.
    """
    if not document_rules.is_proven(str(client.client_id), client.auth, redirect_uri):
        return False
    same = TokenFamily.objects.filter(client=client, person=person, system=system, agent=agent_for(client, person))
    latest = same.order_by("-started_at").first()
    if latest is None or latest.ended_at is not None or _has_ended(client, person, latest.started_at):
        return False
    wanted, agreed = set(asked), set(latest.scope.split())
    return not agreed or (bool(wanted) and wanted <= agreed)


def _has_ended(client: Client, person: Person, since: datetime) -> bool:
    """Whether a sign-in or session of a person at a client was ended; one that had lapsed by then is not marked."""
    return any(
        kind.objects.filter(client=client, person=person, ended_at__gt=since).exists()
        for kind in (TokenFamily, Session)
    )


def needed_sign_in(
    client: Client, person: Person, system: System, asked: Iterable[str], signed_in: SignedIn
) -> Remedy | None:
    """Return the sign-in that session policies ask for at a system; None where what is known of this one is enough."""
    caller, target = _acting(client, person, system)
    if caller is None or target is None or caller.agent is None:
        return None
    verdict = _verdict(caller, target, person, frozenset(asked) or None, signed_in)
    return verdict.remedy if verdict.code is Code.REAUTHENTICATION_DUE else None


def _acting(client: Client, person: Person, system: System) -> tuple[Caller | None, Target | None]:
    """Return a client at a system, with its agent for a person."""
    caller, target = client_at(client.client_id, system)
    if caller is not None:
        caller = own_connection.run(connected_agent.for_person(READS, caller, person.pk))
    return caller, target


def ask(client: Client, person: Person, system: System, asked: Iterable[str], signed_in: SignedIn = UNKNOWN) -> Consent:
    """Say what a client asks of a person at a system, with the scopes that it asks for; without any, all."""
    acting_as = agent_for(client, person)
    agent = acting_as.name if acting_as else ""
    caller, target = _acting(client, person, system)
    if caller is None or target is None or caller.agent is None:
        return Consent(client, person, system, agent, needs_connection=needs_connection(client, person))
    requested = frozenset(asked) or None
    verdict = _verdict(caller, target, person, requested, signed_in)
    if verdict.issue is None:
        denied = NotIssued(verdict, [f"agent:{caller.agent}"])
        refusal, request = _refused(denied, caller, system, agent)
        return Consent(client, person, system, agent, refusal=refusal, request=request, denied=denied)
    is_open, missing = requested is None, (requested or frozenset()) - set(verdict.issue.scopes)
    later = list(Entitlement.objects.filter(scope__in=missing).order_by("name").values_list("name", flat=True))
    if not verdict.issue.scopes:
        return Consent(client, person, system, agent, is_open=is_open, is_empty=True, later=later)
    tools = _tools(caller, person, target, frozenset(verdict.issue.scopes))
    return Consent(client, person, system, agent, tools, is_open=is_open, later=later)


def _refused(denied: NotIssued, caller: Caller, system: System, agent: str) -> tuple[str, str]:
    """Say why there is nothing to agree to, and where to request what is missing."""
    if not denied.requestable:
        return denied.message, ""
    missing = _("%(agent)s has no access to %(system)s for you now.") % {"agent": agent, "system": system.name}
    return missing, addresses.request_access(caller.agent or "", system.slug)


def _verdict(
    caller: Caller, target: Target, person: Person, requested: frozenset[str] | None, signed_in: SignedIn
) -> Verdict:
    now = clock.now()
    token_request = TokenRequest(
        Flow.AUTHORIZATION_CODE,
        IssuedToken.Kind.ACCESS_TOKEN,
        caller,
        target,
        Subject.of(person),
        requested,
        target.token_seconds,
        sign_in=SignIn("", datetime.now(UTC), stated=signed_in),
        redeemed=RedeemedToken("", now.timestamp(), now.timestamp() + SECONDS, requested),
    )
    return own_connection.run(issue.decide(READS, token_request, None, now.timestamp()))


def _tools(caller: Caller, person: Person, target: Target, granted: frozenset[str]) -> list[Tool]:
    """Return the tools that these scopes carry, system by system."""
    slugs = [target.slug]
    if target.is_all_systems:
        slugs = own_connection.run(all_systems.slugs(READS, caller.agent or "", System.SERVED))
    carried = Q(pk=None)
    for slug in slugs:
        carried |= Q(system__slug=slug, name__in=_names(caller, person, slug, granted))
    return list(Tool.objects.filter(carried).select_related("system").order_by("system__name", "system", "name"))


def _names(caller: Caller, person: Person, system: str, granted: frozenset[str]) -> set[str]:
    known = facts.load(caller.agent or "", system)
    if known is None:
        return set()
    carried = {tool for tool, line in known.held.get((system, person.login), ()) if line.scope in granted}
    call = Call(caller.agent or "", caller.client_id, person.login, system, "", {})
    return {tool.name for tool in policy.visible_tools(call, known, clock.now().timestamp())} & carried
