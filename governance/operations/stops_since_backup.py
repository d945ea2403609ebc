"""Stops that a restored backup does not know, applied again from the copy that is kept outside the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.seals.stops import Outside
from entitlements import addresses
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems, tools
from entitlements.catalog.models import System, Tool
from entitlements.connected_accounts import accounts
from entitlements.connectors import connectors
from entitlements.delegation import permissions
from entitlements.delegation.models import DelegationPermission
from entitlements.errors import DomainError, NotFound
from entitlements.grants import grants
from entitlements.people import people, roles
from entitlements.people.models import Group, Person
from entitlements.revocation.verbs import VERBS
from entitlements.risk import risk
from entitlements.risk.risk import NewSignal
from entitlements.risk.rules import Kind, Mode, Policy, Response
from entitlements.risk.subject import named
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.words import Risk
from entitlements.workload_identity import workload_rules

REASON: Final = "stopped after the backup that was restored"

type Line = Mapping[str, Any]


@dataclass(slots=True)
class Again:
    """What came of the stops: which were applied, which cannot be applied here, which systems stay closed."""

    applied: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[dict[str, Any]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def apply(outside: Outside) -> Again:
    """Stop again what was stopped since the backup, and close each system of which that is not known.

    What is not found was made after the backup, and is gone. A stop without an action here closes the systems that it
    names, or else all of them; so does a copy that may lack lines.
    """
    again = Again()
    for line in outside.lines:
        try:
            with transaction.atomic():
                _ACTIONS[Action(line["action"])](line)
            again.applied.append(_shown(line))
        except NotFound:
            continue
        except (DomainError, KeyError, ValueError) as problem:
            if getattr(problem, "code", "") not in _OVER:
                again.unknown.append(_shown(line))
    named = [_ids(line, "system") for line in again.unknown]
    rows = System.objects.filter(status=System.Status.ACTIVE).exclude(slug=addresses.ALL)
    if outside.is_whole and all(named):
        rows = rows.filter(slug__in={slug for slugs in named for slug in slugs})
    for system in rows.order_by("pk"):
        systems.close_after_restore(system, by=SYSTEM, reason=REASON if outside.is_whole else "stops may be missing")
        again.closed.append(system.slug)
    return again


def _shown(line: Line) -> dict[str, Any]:
    return {name: line[name] for name in ("action", "at", "links")}


def _ids(line: Line, kind: str) -> list[str]:
    named = (link.partition(":") for link in line["links"])
    return [key for of, _, key in named if of == kind]


def _id(line: Line, kind: str) -> str:
    return _ids(line, kind)[0] if _ids(line, kind) else _missing(kind)


def _missing(kind: str) -> str:
    raise KeyError(kind)


def _verb(kind: str) -> Callable[[Line], object]:
    return lambda line: VERBS[kind](_id(line, kind), SYSTEM, REASON)


def _revoked(line: Line) -> None:
    kind, _, key = line["target"].partition(":")
    VERBS[kind](key, SYSTEM, REASON)


def _retire(line: Line) -> None:
    agents.retire(_get(Agent, slug=_id(line, "agent")), by=SYSTEM, reason=REASON)


def _quarantine(line: Line) -> None:
    slug, _, name = _id(line, "tool").partition("/")
    tools.quarantine(_get(Tool, system__slug=slug, name=name), by=SYSTEM, reason=REASON)


def _suspend_grant(line: Line) -> None:
    grants.suspend(UUID(_id(line, "grant")), by=SYSTEM, reason=REASON)


def _hold(line: Line) -> None:
    """Answer a risk signal that held calls, which is lost: suspend its agent, or else hold its person again."""
    if _ids(line, "agent"):
        VERBS["agent"](_id(line, "agent"), SYSTEM, REASON)
        return
    subject = named(f"person:{_id(line, 'person')}")
    again = Policy(Response.HOLD, Mode.ENFORCE)
    reference = f"restored:{_id(line, 'risk')}"
    risk.note(
        subject, NewSignal(Kind.RISK_LEVEL_CHANGE, Risk.HIGH, reference, REASON, clock.now(), reference, answer=again)
    )


def _distrust(line: Line) -> None:
    trust.end(_get(TrustedIssuer, issuer=_id(line, "issuer")), by=SYSTEM, reason=REASON)


def _take_role(line: Line) -> None:
    roles.take_by_review(_get(Person, login=_id(line, "person")), line["role"], by=SYSTEM, reason=REASON)


def _leave(line: Line) -> None:
    group, person = _get(Group, slug=_id(line, "group")), _get(Person, login=_id(line, "person"))
    people.remove_member(group, person, by=SYSTEM, reason=REASON)


def _withdraw(line: Line) -> None:
    agent, actor = _ids(line, "agent")
    for row in DelegationPermission.objects.filter(agent__slug=agent, actor__slug=actor, ended_at=None):
        permissions.withdraw(row, by=SYSTEM, reason=REASON)


def _end(kind: str, action: Callable[..., object]) -> Callable[[Line], object]:
    return lambda line: action(UUID(_id(line, kind)), by=SYSTEM, reason=REASON)


def _get(model: Any, **key: str) -> Any:  # noqa: ANN401 - any row
    row = model.objects.filter(**key).first()
    if row is None:
        raise NotFound
    return row


_ACTIONS: Final[dict[Action, Callable[[Line], object]]] = {
    Action.AGENT_RETIRED: _retire,
    Action.AGENT_SUSPENDED: _verb("agent"),
    **dict.fromkeys(
        (
            *(Action.CLIENT_CLOSED, Action.CLIENT_CREDENTIAL_ROTATED, Action.CLIENT_DELETED, Action.CLIENT_DISABLED),
            *(Action.CLIENT_KEYS_REPLACED, Action.CLIENT_SECRET_ROTATED),  # the backup knows the credential before
        ),
        _verb("client"),
    ),
    Action.CONNECTED_ACCOUNT_BROKEN: _end("connected_account", accounts.end),
    Action.CONNECTED_ACCOUNT_ENDED: _end("connected_account", accounts.end),
    Action.CONNECTOR_REVOKED: _end("connector", connectors.revoke),
    Action.DELEGATION_WITHDRAWN: _withdraw,
    Action.GRANT_REDUCED: _suspend_grant,
    Action.GRANT_REVOKED: _verb("grant"),
    Action.GRANT_SUSPENDED: _suspend_grant,
    Action.GROUP_LEFT: _leave,
    Action.ISSUER_DISTRUSTED: _distrust,
    Action.KEY_RETIRED: lambda _line: None,  # a restore withdraws every key
    Action.KEY_WITHDRAWN: lambda _line: None,
    Action.KILL_SWITCH_ENGAGED: lambda _line: VERBS["everything"]("everything", SYSTEM, REASON),
    Action.PERSON_DISABLED: _verb("person"),
    Action.PERSON_ROLE_REMOVED: _take_role,
    Action.REVOCATION_COMMITTED: _revoked,
    Action.RISK_SIGNALLED: _hold,
    Action.SYSTEM_DISABLED: _verb("system"),
    Action.TOOL_CHANGED: _quarantine,
    Action.TOOL_DISABLED: _verb("tool"),
    Action.TOOL_QUARANTINED: _quarantine,
    Action.TOOL_REMOVED: _quarantine,
    Action.WORKLOAD_RULE_ENDED: _end("workload_rule", workload_rules.end),
}
_OVER: Final = frozenset(
    {"account_ended", "agent_in_wrong_state", "connector_revoked", "grant_already_ended", "tool_in_wrong_state"}
)
"""Refusals of what is stopped already."""
