"""An issuer's node as far as `issue_token_v3` sees it: an agent's client, one grant, and calls by a producer."""

# ruff: noqa: ANN401 - fields of any type are replaced

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
from django.db import connection

from audit import clock
from audit.actions import Action
from audit.context import Principal
from audit.draft import Draft, draft
from audit.models import Event, Pending
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.decisions import guardrails
from entitlements.feed import changes, locks
from entitlements.feed.locks import Lock
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.tokens import issue_token
from entitlements.tokens.issue_token import Answer, Basis, BegunSession, Claim, Claims, Producer, TokenRow
from entitlements.tokens.models import IssuedToken, UsedAssertion
from tests import make


@dataclass
class Node:
    """What a node decided on, and the calls that it makes. Without `raw` it speaks on Django's own connection."""

    person: Person
    agent: Agent
    client: Client
    grant: Grant
    raw: psycopg.Connection[Any] | None = None
    producer: Producer = field(default_factory=Producer)

    def locks(self, *more: int) -> tuple[int, ...]:
        """Return the numbers to share, in their order, and `more` behind them."""
        keys = [
            (Lock.EVERYTHING, guardrails.EVERYTHING),
            (Lock.AGENT, self.agent.pk),
            *((Lock.PERSON, pk) for pk in sorted((self.person.pk, self.agent.sponsor_id))),
            (Lock.CLIENT, self.client.pk),
            (Lock.SYSTEM, self.grant.entitlement.system_id),
            (Lock.GRANT, self.grant.pk),
        ]
        return (*(locks.number(*key) for key in keys), *more)

    def basis(self, **otherwise: Any) -> Basis:
        """Decide now, on all that the feed has said."""
        made = Basis(
            clock.now(),
            changes.position(None),
            self.locks(),
            self.client.pk,
            agent=self.agent.pk,
            system=self.grant.entitlement.system_id,
            people=(self.person.pk, self.agent.sponsor_id),
            tools=tuple(self.grant.lines.values_list("tool", flat=True)),
            grants=(self.grant.pk,),
        )
        return replace(made, **otherwise)

    def row(self, **otherwise: Any) -> TokenRow:
        """Say what is to be issued: by default an access token of a minute for the person, drawing on the grant."""
        made = TokenRow(
            uuid4(),
            IssuedToken.Kind.ACCESS_TOKEN,
            self.grant.entitlement.scope,
            clock.now().replace(microsecond=0) + timedelta(minutes=1),
            person=self.person.pk,
            drawn=(self.grant.pk,),
        )
        return replace(made, **otherwise)

    def begins(self, sign_in: str = "a" * 64) -> BegunSession:
        """Begin a session with the token."""
        now = clock.now()
        return BegunSession(sign_in, now, 3600, now + timedelta(hours=12), event(Action.SESSION_BEGUN))

    def mint(
        self, basis: Basis | None = None, row: TokenRow | None = None, claims: Claims = issue_token.NOTHING
    ) -> Answer:
        """Issue a token."""
        row = row or self.row()
        issued = event(Action.TOKEN_ISSUED, f"token:{row.jti}")
        parameters = issue_token.mint(basis or self.basis(), row, issued, self.producer.uuid, claims)
        return self.call(parameters, events=2 if row.begins else 1)

    def refuse(self, claims: Claims = issue_token.NOTHING, code: str = "no_grant") -> Answer:
        """Record a refusal."""
        refused = event(Action.TOKEN_REFUSED, code=code)
        return self.call(issue_token.refuse(refused, self.producer.uuid, claims, client=self.client.pk))

    def call(self, parameters: list[Any], events: int = 1) -> Answer:
        """Call the function, and note the number that the event got."""
        if self.raw is None:
            connection.ensure_connection()
        with psycopg.Cursor(self.raw or connection.connection) as cursor:
            cursor.execute(issue_token.PSYCOPG, parameters, prepare=True)
            row = cursor.fetchone()
        assert row is not None
        answer = issue_token.answer(row)
        self.producer.take(answer, events)
        return answer


def node(raw: psycopg.Connection[Any] | None = None, **more: Any) -> Node:
    """Make a person, an agent that may use one system for them, and its client."""
    person, agent = make.person(), make.agent()
    client, _ = make.client(agent)
    return Node(person, agent, client, make.grant(agent, people=[person], **more), raw)


def event(action: Action, *about: str, code: str = "") -> Draft:
    """Make an event of a node."""
    outcome = "refused" if action is Action.TOKEN_REFUSED else "success"
    return draft(action, by=Principal("agent", "helper"), about=about, outcome=outcome, code=code)


def claim(jti: str, issuer: str = "https://idp.example", expires: datetime | None = None) -> Claim:
    """Name an assertion that is used once."""
    return Claim(issuer, jti, expires or clock.now() + timedelta(minutes=5))


def used() -> Draft:
    """Make the refusal of an assertion that was used before."""
    return event(Action.TOKEN_REFUSED, code="assertion_replayed")


def recorded(node: Node) -> list[Event]:
    """Return the events of a node's producer, in their order."""
    return list(Event.objects.filter(producer=node.producer.uuid).order_by("sequence"))


def nothing_was_written(node: Node) -> bool:
    """Tell whether nothing at all is left of a node's calls."""
    return not (
        recorded(node)
        or IssuedToken.objects.exists()
        or UsedAssertion.objects.exists()
        or Session.objects.exists()
        or Pending.objects.filter(producer=node.producer.uuid).exists()
    )
