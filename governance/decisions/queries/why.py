"""Why a decision was made: its event, each rule in its order with what it said, and the facts of then as recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from audit.bodies import Members
from audit.models import Event
from entitlements import codes
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.clients.models import Client
from entitlements.codes import Code, Meaning
from entitlements.errors import DomainError, NotFound
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.strict import known_uuid
from entitlements.tokens.models import IssuedToken
from governance.audit_log.queries import filters
from governance.decisions import causes, history, steps
from governance.decisions.steps import Step
from governance.reviews.pack_tables import past_grants

MOST_REASONS: Final = 8
"""As many reasons an event keeps (`entitlements/node/records.py`)."""
_KNOWN: Final = ("arguments", "effect", "measured", "method", "reasons", "tool", "version")


class NotADecision(DomainError):
    """The event is not a decision about a call. Name an event of a call or an evaluation."""

    code, status = "not_a_decision", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class GrantThen:
    """The grant that the decision names, as it was then. `is_of_then` is false where only its present terms are known.

    `limits` are those of the tool, None where the grant did not hold it.
    """

    grant: Grant
    limits: Mapping[str, Any] | None
    expires_at: datetime
    state: str
    is_of_then: bool


@dataclass(frozen=True, slots=True)
class Why:
    """One decision, explained.

    `by_kind` are the things that its event is about, by kind; `status` the state of agent, system, tool, client and
    person at that moment, by link; `measured` the numbers that limits bound, `further` what the event records
    besides. `unknown` names what
    no record tells: an empty list is never shown for what was not kept.
    """

    event: Event
    code: Code
    effect: str
    steps: Sequence[Step]
    by_kind: Mapping[str, list[str]]
    grant: GrantThen | None
    session: Session | None
    scopes: str | None
    status: Mapping[str, str]
    measured: Sequence[tuple[str, Any]]
    further: Sequence[tuple[str, Any]]
    unknown: tuple[str, ...]

    @property
    def meaning(self) -> Meaning:
        """What the code says, and what helps."""
        return codes.meaning(self.code)

    @property
    def cause(self) -> Event | None:
        """The event that made it true; None for an allowed call, and where no record tells."""
        return causes.find(self.code, self.by_kind, self.event.at)

    @property
    def refused(self) -> list[Step]:
        """The rules that spoke against it."""
        return [step for step in self.steps if step.outcome is steps.Outcome.REFUSED]


def find(evaluation: UUID) -> Event:
    """Return the event of an evaluation. Raises NotFound, and NotADecision for another event."""
    event = Event.objects.filter(uuid=evaluation).first()
    if event is None:
        raise NotFound
    if not filters.is_decision(event):
        raise NotADecision
    return event


def explain(event: Event) -> Why:
    """Explain a decision by its event."""
    by_kind, detail = dict(event.by_kind), event.detail
    by_kind.setdefault(*_principal(event.actor))
    if event.on_behalf_of:
        by_kind.setdefault(*_principal(event.on_behalf_of))
    code = Code(event.code) if event.code else Code.ALLOWED
    grant = _grant(by_kind, detail, event.at)
    session, token = _session(event), _token(by_kind)
    return Why(
        event,
        code,
        detail.text("effect", "allow" if code is Code.ALLOWED else "deny"),
        steps.of(code, steps.read(detail.texts("reasons"))),
        by_kind,
        grant,
        session,
        None if token is None else token.scope,
        _status(by_kind, event.at),
        tuple(detail.part("measured").items()),
        tuple((name, value) for name, value in detail.items() if name not in _KNOWN),
        tuple(_unknown(event, grant, token)),
    )


def _principal(text: str) -> tuple[str, list[str]]:
    kind, _, name = text.partition(":")
    return kind, [name]


def _grant(by_kind: Mapping[str, list[str]], detail: Members, at: datetime) -> GrantThen | None:
    key = known_uuid(by_kind.get("grant", [""])[0])
    grant = Grant.objects.filter(pk=key).select_related("entitlement", "agent").first() if key else None
    if grant is None:
        return None
    tool = detail.text("tool")
    if (terms := history.grants([str(grant.pk)], at).get(str(grant.pk))) is not None:
        return GrantThen(
            grant, terms["lines"].get(tool), past_grants.read(terms["ends"]), terms["state"], is_of_then=True
        )
    line = grant.lines.filter(tool__name=tool).first()
    is_of_then = grant.ended_at is None or grant.ended_at <= at
    return GrantThen(grant, line.limits if line else None, grant.expires_at, grant.state, is_of_then)


def _session(event: Event) -> Session | None:
    key = known_uuid(event.session)
    return Session.objects.filter(pk=key).first() if key else None


def _token(by_kind: Mapping[str, list[str]]) -> IssuedToken | None:
    key = known_uuid(by_kind.get("token", [""])[0])
    return IssuedToken.objects.filter(pk=key).first() if key else None


def _status(by_kind: Mapping[str, list[str]], at: datetime) -> dict[str, str]:
    """Return the state of agents, systems, tools, clients and people that the decision names, at that moment."""
    past = history.read([f"{kind}:{key}" for kind, keys in by_kind.items() for key in keys], at)
    states: dict[str, str] = {}
    for slug, status in Agent.objects.filter(slug__in=by_kind.get("agent", ())).values_list("slug", "status"):
        states[f"agent:{slug}"] = past.agent(f"agent:{slug}", status)
    for kind, key, is_on in _switches(by_kind):
        states[f"{kind}:{key}"] = "active" if past.is_on(f"{kind}:{key}", now=is_on) else "disabled"
    for login, is_active in Person.objects.filter(login__in=by_kind.get("person", ())).values_list(
        "login", "is_active"
    ):
        states[f"person:{login}"] = "active" if past.is_person_active(login, now=is_active) else "disabled"
    for link in by_kind.get("tool", ()):
        system, _, name = link.partition("/")
        for state, risk in Tool.objects.filter(system__slug=system, name=name).values_list("state", "risk"):
            states[f"tool:{link}"] = past.tool(f"tool:{link}", state, risk)[0]
    return states


def _switches(by_kind: Mapping[str, list[str]]) -> Iterator[tuple[str, str, bool]]:
    systems = System.objects.filter(slug__in=by_kind.get("system", ()))
    clients = Client.objects.filter(client_id__in=by_kind.get("client", ()))
    yield from (
        ("system", slug, status == System.Status.ACTIVE) for slug, status in systems.values_list("slug", "status")
    )
    yield from (
        ("client", name, status == Client.Status.ACTIVE) for name, status in clients.values_list("client_id", "status")
    )


def _unknown(event: Event, grant: GrantThen | None, token: IssuedToken | None) -> Iterator[str]:
    """Name what is not recorded."""
    yield "argument_values"
    yield "policy_version"
    if len(event.detail.texts("reasons")) >= MOST_REASONS:
        yield "further_reasons"
    if any(link.startswith("token:") for link in event.about) and token is None:
        yield "token"
    if grant is not None and not grant.is_of_then:
        yield "grant_terms"
    if event.session:
        yield "last_use_of_session"
