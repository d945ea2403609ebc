"""Actions on workload rules: ask for one, put it in force once it is accepted, end it.

A rule is a credential of its client: it waits for acceptance like a secret (`entitlements/clients/acceptance.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.clients import clients
from entitlements.clients.models import Client, ClientCredential
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity.models import WorkloadRule

from . import platforms, rules
from .platforms import Platform
from .rules import Rule


class IssuerNotTrusted(DomainError):
    """No issuer of this name is trusted for workload identity. Have it trusted first."""

    code, status = "workload_issuer_not_trusted", HTTPStatus.CONFLICT


class ClientWithoutAgent(DomainError):
    """A workload rule is for a confidential client of one agent. Register one with workload identity."""

    code, status = "workload_client_unsuitable", HTTPStatus.CONFLICT


class RuleTaken(DomainError):
    """Another rule describes these workloads, so they could not tell which client they are. End it first."""

    code, status = "workload_rule_taken", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Proposed:
    """What came of asking for a rule: the rule once it works, else the credential that waits for acceptance."""

    rule: WorkloadRule | None
    waiting: ClientCredential | None


@transaction.atomic
def propose(
    client: Client, *, issuer: str, platform: str, claims: Mapping[str, str], by: Principal, reason: str = ""
) -> Proposed:
    """Ask for a rule by which workloads are this client: at once if `by` is responsible for its agent, else accepted.

    Raises NotFound, ClientWithoutAgent, clients.AgentRetired, IssuerNotTrusted, RuleTaken, platforms.RuleTooWide and
    RuleMalformed, credentials.NoAcceptor, and as `clients.put_in_force`.
    """
    if client.agent_id is None:
        raise ClientWithoutAgent
    locks.shared([(Lock.AGENT, client.agent_id)])
    clients.lock_identifier(client.client_id)
    client = _client(client.client_id, client.agent_id)
    platforms.check_rule(Platform(platform), issuer, claims)
    _check(client, _issuer(issuer), Platform(platform), claims)
    wanted = ClientCredential(
        agent=client.agent,
        client_id=client.client_id,
        purpose=ClientCredential.Purpose.WORKLOAD,
        name=client.name,
        auth=Client.Auth.WORKLOAD_IDENTITY,
        workload={"issuer": issuer, "platform": str(platform), "claims": dict(claims)},
        reason=reason,
    )
    waiting = clients.ask(wanted, None, by=by).waiting
    rule = None if waiting else WorkloadRule.objects.select_related("client__agent", "issuer").get(credential=wanted)
    return Proposed(rule, waiting)


def put_in_force(credential: ClientCredential, by: Principal) -> Client:
    """Make the rule of a credential that was just accepted work, and return its client. As `propose` of what changed.

    In the transaction and under the locks of the person who accepts.
    """
    said: Any = credential.workload
    client = _client(credential.client_id, credential.agent_id)
    issuer = _issuer(said["issuer"])
    locks.exclusive((Lock.CLIENT, client.pk), (Lock.TRUSTED_ISSUER, issuer.pk))
    issuer = _issuer(issuer.issuer)
    _check(client, issuer, Platform(said["platform"]), said["claims"])
    rule = WorkloadRule.objects.create(
        client=client,
        issuer=issuer,
        platform=said["platform"],
        claims=said["claims"],
        credential=credential,
        made_at=clock.now(),
    )
    detail = {**said, "proposal": str(credential.pk), "asked_by": credential.asked_by}
    log.record(Action.WORKLOAD_RULE_MADE, about=about(rule), by=by, reason=credential.reason, detail=detail)
    _note(rule)
    return client


@transaction.atomic
def end(rule_id: UUID, *, by: Principal, reason: str) -> WorkloadRule:
    """End a rule for good. All that its client was issued until now is dead; by another rule it gets new tokens.

    Twice changes and records nothing. Raises NotFound, ReasonRequired.
    """
    if not reason.strip():
        raise ReasonRequired
    seen = WorkloadRule.objects.filter(pk=rule_id).first()
    if seen is None:
        raise NotFound
    locks.exclusive((Lock.CLIENT, seen.client_id), (Lock.TRUSTED_ISSUER, seen.issuer_id))
    rule = WorkloadRule.objects.select_related("client__agent", "issuer").get(pk=rule_id)
    if rule.ended_at is not None:
        return rule
    rule.ended_at, rule.ended_by, rule.end_reason = clock.now(), str(by), reason
    rule.save(update_fields=["ended_at", "ended_by", "end_reason"])
    log.record(Action.WORKLOAD_RULE_ENDED, about=about(rule), by=by, reason=reason)
    client = rule.client
    client.tokens_valid_after = rule.ended_at
    client.save(update_fields=["tokens_valid_after"])
    _note(rule)
    return rule


def kill_tokens(issuer: TrustedIssuer) -> None:
    """Kill what clients with a rule about an issuer were issued until now, in the transaction that ends it.

    Until it commits, no token is written for these clients; afterwards the feed names the issuer.
    """
    if issuer.purpose != TrustedIssuer.Purpose.WORKLOAD or not issuer.enabled:
        return
    rules_of_issuer = WorkloadRule.objects.filter(issuer=issuer, ended_at=None)
    locks.exclusive(*((Lock.CLIENT, pk) for pk in sorted({*rules_of_issuer.values_list("client_id", flat=True)})))
    for client in Client.objects.filter(workload_rules__in=rules_of_issuer).distinct():
        client.tokens_valid_after = clock.now()
        client.save(update_fields=["tokens_valid_after"])
        clients.note(client)


def about(rule: WorkloadRule) -> list[str]:
    """Return the links by which the record of a rule is found again."""
    return [f"workload_rule:{rule.pk}", *clients.about(rule.client), f"issuer:{rule.issuer.issuer}"]


def as_rule(row: WorkloadRule) -> Rule:
    """Return what the pure rules read of a row."""
    agent = row.client.agent.slug if row.client.agent else ""
    return Rule(row.pk, row.client.client_id, agent, Platform(row.platform), row.claims, row.ended_at is not None)


def _check(client: Client, issuer: TrustedIssuer, platform: Platform, claims: Mapping[str, str]) -> None:
    """Check that no rule of the issuer always describes the same workloads, and none of another agent ever could."""
    agent = client.agent.slug if client.agent else ""
    wanted = Rule(uuid4(), client.client_id, agent, platform, claims)
    active = WorkloadRule.objects.filter(issuer=issuer, ended_at=None).select_related("client__agent")
    for other in map(as_rule, active):
        is_of_another = other.agent != agent and rules.overlap(other, wanted)
        if is_of_another or rules.covers(other, wanted) or rules.covers(wanted, other):
            raise RuleTaken(rule=str(other.pk), client=other.client)


def _client(client_id: str, agent_pk: int | None) -> Client:
    client = Client.objects.select_related("agent").filter(client_id=client_id, agent=agent_pk).first()
    if client is None:
        raise NotFound
    if client.agent is None or client.auth == Client.Auth.NONE or client.serves != Client.Serves.OWN_AGENT:
        raise ClientWithoutAgent
    if client.agent.status == Agent.Status.RETIRED:
        raise clients.AgentRetired
    return client


def _issuer(name: str) -> TrustedIssuer:
    found = TrustedIssuer.objects.filter(issuer=name, purpose=TrustedIssuer.Purpose.WORKLOAD, enabled=True).first()
    if found is None:
        raise IssuerNotTrusted(issuer=name)
    return found


def _note(rule: WorkloadRule) -> None:
    """Tell the nodes that the client and the issuer have another rule."""
    of = [] if rule.client.agent_id is None else [subjects.agent(rule.client.agent_id)]
    changes.note(subjects.client(rule.client_id), subjects.trusted_issuer(rule.issuer_id), of=of)
