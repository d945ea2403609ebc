"""Stop something now, wait until every gateway node obeys, and keep the receipt.

The change commits first. Then the revoker waits, on separate reads, for each node's acknowledgement or the lapse of
its lease, and stores who answered after how many milliseconds. A caller that went away fetches the receipt later.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max, Q

from audit import clock, context, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Event, KeptStop
from entitlements import addresses
from entitlements.agents.models import Agent
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.foreign_tokens import ends as foreign_ends
from entitlements.foreign_tokens import residual as foreign_residual
from entitlements.keys import jws, signing
from entitlements.keys.models import SigningKey
from entitlements.revocation.models import Drill, Revocation, Stop
from entitlements.revocation.targets import PERSON_AGENTS, SIGN_INS, EverythingNotNamed, Target, agents_of
from entitlements.sessions.models import Session
from entitlements.signers.signer import SignerUnreachable
from entitlements.token_families.person_sign_ins import PersonClient
from entitlements.tokens.models import IssuedToken
from entitlements.unmanaged_agents.models import PathTerms

from . import effects, record_keys, tickets
from .verbs import VERBS

__all__ = ["SIGN_INS", "EverythingNotNamed", "Target"]

RECEIPT_TYP: Final = "mandate-receipt+jwt"


class UnknownTarget(DomainError):
    """There is no such kind of target."""

    code, status = "unknown_target", HTTPStatus.UNPROCESSABLE_ENTITY


def revoke(target: Target, *, by: Principal, reason: str, wait: bool = True, ticket: str | None = "") -> Revocation:
    """Stop the target in one transaction, then (unless `wait` is false) wait for the nodes and store the receipt.

    `ticket` is the reference of the ticket that it belongs to; None where none is asked for. Raises UnknownTarget,
    ReasonRequired, NotFound, what `tickets.check` raises and what the action on the target raises. Must not run inside
    a transaction of the caller: the nodes could never see the change that it waits for.
    """
    revocation = _commit(target, by=by, reason=reason, ticket=ticket)
    return settle(revocation) if wait else revocation


def drill(target: Target, *, by: Principal, reason: str, wait: bool = True, ticket: str | None = "") -> Drill:
    """Do all that `revoke` does, and stop nothing: the action is undone before anybody sees it, and the nodes answer.

    It takes the locks of the action, counts what it ends and leaves, and sends the nodes a message that they only
    acknowledge. The receipt says that it is a drill. Raises as `revoke`.
    """
    drilled = _rehearse(target, by=by, reason=reason, ticket=ticket)
    return settle(drilled) if wait else drilled


@transaction.atomic(durable=True)
def _commit(target: Target, *, by: Principal, reason: str, ticket: str | None) -> Revocation:
    kept, effect = _checked(target, reason, ticket)
    measured = _act(target, by, reason)
    row = Revocation(**_columns(target, by, reason, kept), **measured, effect=effect)
    _record(row, target, Action.REVOCATION_COMMITTED, by)
    foreign_ends.begin(row)
    return row


@transaction.atomic(durable=True)
def _rehearse(target: Target, *, by: Principal, reason: str, ticket: str | None) -> Drill:
    kept, effect = _checked(target, reason, ticket)
    measured: dict[str, Any] = {}
    with contextlib.suppress(_Undone), transaction.atomic():
        measured = _act(target, by, reason)
        raise _Undone
    locks.exclusive((Lock.EVERYTHING, subjects.DRILL.kind))
    changes.note(subjects.DRILL)
    row = Drill(**_columns(target, by, reason, kept), **measured, effect=effect)
    return _record(row, target, Action.DRILL_COMMITTED, by)


class _Undone(Exception):
    """What a drill did is undone."""


def _checked(target: Target, reason: str, ticket: str | None) -> tuple[str | None, dict[str, int]]:
    """Return the ticket to keep, and what the stop reaches. A stop of everything or a system waits for no count."""
    if target.type not in VERBS:
        raise UnknownTarget(type=target.type, known=sorted(VERBS))
    if not reason.strip():
        raise ReasonRequired
    kept = tickets.check(target.type, ticket)
    return kept, {} if target.type in _COUNTED_LATER else effects.count_held(target.type, target.find(), target.id)


def _act(target: Target, by: Principal, reason: str) -> dict[str, Any]:
    """Carry it out in the running transaction; return what is measured of it."""
    began = clock.now()
    VERBS[target.type](target.id, by, reason)
    return {"covered": _covered(target, began), "residual": residual(target)}


def _columns(target: Target, by: Principal, reason: str, ticket: str | None) -> dict[str, Any]:
    named = {"target_type": target.type, "target_id": target.id, "reason": reason, "ticket": ticket or ""}
    return {**named, "by": str(by)}


def _record[S: Stop](row: S, target: Target, action: Action, by: Principal) -> S:
    row.committed_at, row.change_id = clock.now(), changes.last_noted()
    row.save(force_insert=True)
    with context.acting(ticket=row.ticket or None):
        about = [row.link, *target.links]
        log.record(action, about=about, by=by, reason=row.reason, detail={"target": str(target)})
    return row


def settle[S: Stop](stop: S) -> S:
    """Wait for the nodes (at most one lease), then store and sign the receipt. Settling again changes nothing.

    Without its signer there is no receipt yet, and what was revoked is revoked all the same: the sweep settles it.
    """
    if stop.receipt:
        return stop
    committed = time.monotonic()
    stop.position = changes.position(stop.change_id)
    stop.acknowledged, stop.missing = changes.wait_for_nodes(stop.position, committed)
    with contextlib.suppress(NotFound):
        stop.effect = {**stop.effect, **_counted_later(stop)}
    with transaction.atomic():
        settled = type(stop)._default_manager.select_for_update().get(pk=stop.pk)  # noqa: SLF001 - its public name
        if settled.receipt:  # another process waited as well
            return settled
        try:
            stop.receipt = signing.sign(record_keys.RECEIPTS, _statement(stop), typ=RECEIPT_TYP)
        except SignerUnreachable:
            return stop
        stop.save(update_fields=["position", "acknowledged", "missing", "effect", "receipt"])
        log.record(
            _SETTLED[type(stop)],
            about=[stop.link, *(f"node:{node['node']}" for node in stop.acknowledged)],
            by=SYSTEM,
            detail={"acknowledged": stop.acknowledged, "missing": stop.missing},
        )
    return stop


def _counted_later(stop: Stop) -> dict[str, int]:
    """Count what is the same after the stop as before, so that no stop waits for it: the calls of the hour before."""
    target = Target(stop.target_type, stop.target_id)
    held = effects.count_held(target.type, target.find(), target.id) if target.type in _COUNTED_LATER else {}
    return {**held, "calls_per_hour": effects.calls_per_hour(effects.calls_of(target), stop.committed_at)}


def receipt_standing(stop: Stop, keys: Mapping[str, SigningKey] | None = None) -> record_keys.Standing | None:
    """Say what the signature of a receipt is worth by now; None while there is no receipt."""
    if not stop.receipt:
        return None
    return record_keys.standing(jws.read(stop.receipt).kid or "", lambda: settled_at(stop), keys)


def settled_at(stop: Stop) -> datetime | None:
    """Return when the receipt was signed, as the audit log has it."""
    events = Event.objects.filter(action=_SETTLED[type(stop)], links__contains=[stop.link])
    return events.values_list("at", flat=True).first()


def kept_outside_at(stop: Stop) -> datetime | None:
    """Return since when a copy of the stop is outside the database, where no restore undoes it; None: not yet."""
    committed = Event.objects.filter(action=Action.REVOCATION_COMMITTED, links__contains=[stop.link])
    return KeptStop.objects.filter(uuid__in=committed.values("uuid")).values_list("kept_at", flat=True).first()


def _statement(stop: Stop) -> dict[str, Any]:
    """Return what a receipt says: what was stopped, by whom and why, whether it is a drill, and what was measured.

    `kept_outside_at` is null where the copy was not outside yet when the receipt was signed: no stop waits for it.
    """
    return {
        "id": str(stop.pk),
        "target": {"type": stop.target_type, "id": stop.target_id},
        "drill": isinstance(stop, Drill),
        "by": stop.by,
        "reason": stop.reason,
        "position": stop.position,
        "committed_at": stop.committed_at.isoformat(),
        "acknowledged": stop.acknowledged,
        "missing": stop.missing,
        "effect": stop.effect,
        "covered": stop.covered,
        "residual": stop.residual,
        "kept_outside_at": kept.isoformat() if (kept := kept_outside_at(stop)) else None,
        **({"ticket": stop.ticket} if stop.ticket else {}),
    }


_SETTLED: Final[dict[type[Stop], Action]] = {
    Revocation: Action.REVOCATION_SETTLED,
    Drill: Action.DRILL_SETTLED,
}


_COUNTED_LATER: Final = frozenset({"everything", "system"})
"""Kinds of which much is counted, and whose stop leaves those rows as they are: it is counted after the nodes obey."""


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound from error


def _covered(target: Target, began: datetime) -> dict[str, int]:
    """Count what the stop has ended: access tokens and ID-JAGs that were alive when it `began`, and open sessions."""
    tokens_then = IssuedToken.objects.filter(Q(revoked_at=None) | Q(revoked_at__gte=began), expires_at__gt=began)
    rows = tokens_then.filter(_touched(target)).values_list("kind").annotate(Count("pk", distinct=True))
    counts = dict(rows.order_by("kind"))
    named = {"session": "pk", "client": "client__client_id", "person": "person__login", PERSON_AGENTS: "person__login"}
    whose = named.get(target.type)
    of_target = Q(**{whose: target.id}) if whose else Q(pk=None)
    if target.type == SIGN_INS:
        of_target = PersonClient.named(target.id).condition
    ended = Session.objects.filter(of_target, ended_at__gte=began)
    return {
        "access_tokens": counts.get(IssuedToken.Kind.ACCESS_TOKEN, 0),
        "id_jags": counts.get(IssuedToken.Kind.ID_JAG, 0),
        "sessions": ended.count(),
        **({"agents": _suspended(target.id, began)} if target.type == PERSON_AGENTS else {}),
    }


def _suspended(login: str, began: datetime) -> int:
    suspended = Agent.objects.filter(agents_of(login), status=Agent.Status.SUSPENDED, tokens_valid_after__gte=began)
    return suspended.distinct().count()


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
        PERSON_AGENTS: _of_person_and_agents(target.id),
        "tool": Q(system__slug=system, draws_on__grant__lines__tool__name=tool),
        "everything": Q(),
        SIGN_INS: PersonClient.named(target.id).condition,
    }
    return by_name[target.type]


def _of_person_and_agents(login: str) -> Q:
    own = Q(person__login=login) | Q(agent__sponsor__login=login) | Q(agent__owner__login=login)
    return own | _delegated(agents_of(login))


def _delegated(which: Q) -> Q:
    """Select the tokens in whose delegation chain such an agent stands behind the one that acts."""
    return Q(chain__overlap=list(Agent.objects.filter(which).values_list("pk", flat=True)))
