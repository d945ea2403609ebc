"""Stop something now, wait until every gateway node obeys, and keep the receipt.

The change commits first. Then the revoker waits, on separate reads, for each node's acknowledgement or the lapse of
its lease, and stores who answered after how many milliseconds. A caller that went away fetches the receipt later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max, Model, Q

from audit import clock, context, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Event
from entitlements import addresses
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems, tools
from entitlements.catalog.models import System, Tool
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import guardrails
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import changes
from entitlements.foreign_tokens import ends as foreign_ends
from entitlements.foreign_tokens import residual as foreign_residual
from entitlements.grants import grants
from entitlements.keys import jws, signing
from entitlements.keys.models import SigningKey
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.revocation.models import Revocation
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.signers.signer import SignerUnreachable
from entitlements.token_families import families, person_sign_ins
from entitlements.token_families.person_sign_ins import PersonClient
from entitlements.tokens import tokens
from entitlements.tokens.models import IssuedToken
from entitlements.unmanaged_agents.models import PathTerms

from . import record_keys, tickets

RECEIPT_TYP: Final = "mandate-receipt+jwt"
SIGN_INS: Final = "sign_ins"
"""The kind of target that is all sign-ins of a person at clients, or at one client."""


class UnknownTarget(DomainError):
    """There is no such kind of target."""

    code, status = "unknown_target", HTTPStatus.UNPROCESSABLE_ENTITY


class EverythingNotNamed(DomainError):
    """To use the kill switch, write the word "everything" as the target's id."""

    code, status = "everything_not_named", HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class Target:
    """What to stop: `type` is one of VERBS; `id` is a slug, login, client identifier, uuid, or `system/tool`.

    The id of everything is that word; that of sign-ins is whose they are: `login`, or `login/client identifier`.
    Raises EverythingNotNamed.
    """

    type: str
    id: str

    def __post_init__(self) -> None:
        """Refuse a stop of everything whose id says something else."""
        if self.type == guardrails.EVERYTHING and self.id != guardrails.EVERYTHING:
            raise EverythingNotNamed

    def __str__(self) -> str:
        return f"{self.type}:{self.id}"


def revoke(target: Target, *, by: Principal, reason: str, wait: bool = True, ticket: str | None = "") -> Revocation:
    """Stop the target in one transaction, then (unless `wait` is false) wait for the nodes and store the receipt.

    `ticket` is the reference of the ticket that it belongs to; None where none is asked for. Raises UnknownTarget,
    ReasonRequired, NotFound, what `tickets.check` raises and what the action on the target raises. Must not run inside
    a transaction of the caller: the nodes could never see the change that it waits for.
    """
    revocation = _commit(target, by=by, reason=reason, ticket=ticket)
    return settle(revocation) if wait else revocation


@transaction.atomic(durable=True)
def _commit(target: Target, *, by: Principal, reason: str, ticket: str | None) -> Revocation:
    if target.type not in VERBS:
        raise UnknownTarget(type=target.type, known=sorted(VERBS))
    if not reason.strip():
        raise ReasonRequired
    kept = tickets.check(target.type, ticket)
    began = clock.now()
    VERBS[target.type](target.id, by, reason)
    revocation = Revocation.objects.create(
        target_type=target.type,
        target_id=target.id,
        reason=reason,
        ticket=kept or "",
        by=str(by),
        committed_at=clock.now(),
        change_id=changes.last_noted(),
        covered=_covered(target, began),
        residual=residual(target),
    )
    foreign_ends.begin(revocation)
    with context.acting(ticket=kept):
        about = [f"revocation:{revocation.pk}", *_links(target)]
        log.record(Action.REVOCATION_COMMITTED, about=about, by=by, reason=reason)
    return revocation


def settle(revocation: Revocation) -> Revocation:
    """Wait for the nodes (at most one lease), then store and sign the receipt. Settling again changes nothing.

    Without its signer there is no receipt yet, and what was revoked is revoked all the same: the sweep settles it.
    """
    if revocation.receipt:
        return revocation
    committed = time.monotonic()
    revocation.position = changes.position(revocation.change_id)
    revocation.acknowledged, revocation.missing = changes.wait_for_nodes(revocation.position, committed)
    with transaction.atomic():
        settled = Revocation.objects.select_for_update().get(pk=revocation.pk)
        if settled.receipt:  # another process waited as well
            return settled
        try:
            revocation.receipt = signing.sign(record_keys.RECEIPTS, _statement(revocation), typ=RECEIPT_TYP)
        except SignerUnreachable:
            return revocation
        revocation.save(update_fields=["position", "acknowledged", "missing", "receipt"])
        log.record(
            Action.REVOCATION_SETTLED,
            about=[f"revocation:{revocation.pk}", *(f"node:{node['node']}" for node in revocation.acknowledged)],
            by=SYSTEM,
            detail={"acknowledged": revocation.acknowledged, "missing": revocation.missing},
        )
    return revocation


def receipt_standing(
    revocation: Revocation, keys: Mapping[str, SigningKey] | None = None
) -> record_keys.Standing | None:
    """Say what the signature of a receipt is worth by now; None while there is no receipt."""
    if not revocation.receipt:
        return None
    return record_keys.standing(jws.read(revocation.receipt).kid or "", lambda: settled_at(revocation), keys)


def settled_at(revocation: Revocation) -> datetime | None:
    """Return when the receipt was signed, as the audit log has it."""
    events = Event.objects.filter(action=Action.REVOCATION_SETTLED, links__contains=[f"revocation:{revocation.pk}"])
    return events.values_list("at", flat=True).first()


def _statement(revocation: Revocation) -> dict[str, Any]:
    return {
        "id": str(revocation.pk),
        "target": {"type": revocation.target_type, "id": revocation.target_id},
        "position": revocation.position,
        "committed_at": revocation.committed_at.isoformat(),
        "acknowledged": revocation.acknowledged,
        "missing": revocation.missing,
        "covered": revocation.covered,
        "residual": revocation.residual,
        **({"ticket": revocation.ticket} if revocation.ticket else {}),
    }


def _grant(key: str, by: Principal, reason: str) -> None:
    grants.revoke(_uuid(key), by=by, reason=reason)


def _session(key: str, by: Principal, reason: str) -> None:
    sessions.end(_uuid(key), by=by, reason=reason)


def _token(key: str, by: Principal, reason: str) -> None:
    tokens.revoke(_uuid(key), by=by, reason=reason)


def _token_family(key: str, by: Principal, reason: str) -> None:
    families.revoke(_uuid(key), by=by, reason=reason)


def _sign_ins(key: str, by: Principal, reason: str) -> None:
    person_sign_ins.end(PersonClient.named(key), by=by, reason=reason)


def _agent(key: str, by: Principal, reason: str) -> None:
    agents.suspend(_get(Agent, slug=key), by=by, reason=reason)


def _person(key: str, by: Principal, reason: str) -> None:
    people.disable(_get(Person, login=key), by=by, reason=reason)


def _client(key: str, by: Principal, reason: str) -> None:
    clients.disable(_get(Client, client_id=key), by=by, reason=reason)


def _system(key: str, by: Principal, reason: str) -> None:
    systems.disable_system(_get(System, slug=key), by=by, reason=reason)


def _tool(key: str, by: Principal, reason: str) -> None:
    system, _, name = key.partition("/")
    tools.disable_tool(_get(Tool, system__slug=system, name=name), by=by, reason=reason)


def _everything(_key: str, by: Principal, reason: str) -> None:
    guardrails.stop_everything(by=by, reason=reason)


VERBS: Final[dict[str, Callable[[str, Principal, str], None]]] = {
    "grant": _grant,
    "session": _session,
    "token": _token,
    "token_family": _token_family,
    SIGN_INS: _sign_ins,
    "tool": _tool,
    "system": _system,
    "client": _client,
    "agent": _agent,
    "person": _person,
    "everything": _everything,
}


def _get[M: Model](model: type[M], **key: str) -> M:
    row = model._default_manager.filter(**key).first()  # noqa: SLF001 - the public name differs by model
    if row is None:
        raise NotFound
    return row


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound from error


def _links(target: Target) -> list[str]:
    if target.type == SIGN_INS:
        whose = PersonClient.named(target.id)
        return [f"person:{whose.login}", *([f"client:{whose.client_id}"] if whose.client_id else [])]
    return [] if target.type == "everything" else [str(target)]


def _covered(target: Target, began: datetime) -> dict[str, int]:
    """Count what the stop has ended: access tokens and ID-JAGs that were alive when it `began`, and open sessions."""
    tokens_then = IssuedToken.objects.filter(Q(revoked_at=None) | Q(revoked_at__gte=began), expires_at__gt=began)
    rows = tokens_then.filter(_touched(target)).values_list("kind").annotate(Count("pk", distinct=True))
    counts = dict(rows.order_by("kind"))
    whose = {"session": "pk", "client": "client__client_id", "person": "person__login"}.get(target.type)
    of_target = Q(**{whose: target.id}) if whose else Q(pk=None)
    if target.type == SIGN_INS:
        of_target = PersonClient.named(target.id).condition
    ended = Session.objects.filter(of_target, ended_at__gte=began)
    return {
        "access_tokens": counts.get(IssuedToken.Kind.ACCESS_TOKEN, 0),
        "id_jags": counts.get(IssuedToken.Kind.ID_JAG, 0),
        "sessions": ended.count(),
    }


def residual(target: Target) -> list[dict[str, Any]]:
    """Say what may outlive the stop elsewhere: our tokens at other verifiers, and what vendors minted on their own.

    `dies_at` is None where the lifetime is not known; an unknown lifetime never gets a time of death (promise 2).
    """
    living = IssuedToken.objects.filter(expires_at__gt=clock.now(), revoked_at=None).filter(_touched(target))
    living = living.exclude(system__slug=addresses.ALL)  # nothing but our gateway is their audience
    rows = living.exclude(kind=IssuedToken.Kind.ID_JAG).values("system__slug")
    left: list[dict[str, Any]] = []
    for row in rows.annotate(count=Count("pk"), last=Max("expires_at")).order_by("system__slug"):
        slug = row["system__slug"]
        where = f"verifiers of {slug} other than our gateway"
        tokens_left = f"{row['count']} access token{'s' if row['count'] > 1 else ''}"
        left.append({"what": tokens_left, "where": where, "dies_at": row["last"].isoformat()})
    return [*left, *_minted_elsewhere(target), *foreign_residual.of_accounts(target.type, target.id)]


def _minted_elsewhere(target: Target) -> list[dict[str, Any]]:
    """Name the vendors whose own tokens may still live: one may be minted until the ID-JAG behind it expires.

    An ID-JAG that is over by now counts for as long as the vendor's token lives, and for good where that is unknown.
    """
    now, native = clock.now(), PathTerms.objects.filter(path=PathTerms.Path.NATIVE, token_seconds__isnull=False)
    lives = dict(native.values_list("system__slug", "token_seconds"))
    id_jags = IssuedToken.objects.filter(kind=IssuedToken.Kind.ID_JAG, system__vendor__isnull=False)
    left: list[dict[str, Any]] = []
    for row in id_jags.filter(_touched(target)).values("system__slug").annotate(last=Max("expires_at")).order_by():
        slug = row["system__slug"]
        seconds = lives.get(slug)
        dies = row["last"] + timedelta(seconds=seconds) if seconds is not None else None
        if dies is None or dies > now:
            dies_at = dies.isoformat() if dies else None
            left.append({"what": foreign_residual.MINTED, "where": slug, "dies_at": dies_at})
    return sorted(left, key=lambda entry: str(entry["where"]))


def _touched(target: Target) -> Q:
    """Select the tokens that the target's stop concerns."""
    by_uuid = {"grant": "draws_on__grant_id", "session": "session_id", "token": "pk", "token_family": "family"}
    if target.type in by_uuid:
        return Q(**{by_uuid[target.type]: _uuid(target.id)})
    system, _, tool = target.id.partition("/")
    by_name = {
        "system": Q(system__slug=target.id),
        "client": Q(client__client_id=target.id),
        "agent": Q(agent__slug=target.id) | _delegated(Q(slug=target.id)),
        "person": Q(person__login=target.id)
        | Q(agent__sponsor__login=target.id)
        | _delegated(Q(sponsor__login=target.id)),
        "tool": Q(system__slug=system, draws_on__grant__lines__tool__name=tool),
        "everything": Q(),
        SIGN_INS: PersonClient.named(target.id).condition,
    }
    return by_name[target.type]


def _delegated(which: Q) -> Q:
    """Select the tokens in whose delegation chain such an agent stands behind the one that acts."""
    return Q(chain__overlap=list(Agent.objects.filter(which).values_list("pk", flat=True)))
