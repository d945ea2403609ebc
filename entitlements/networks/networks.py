"""Actions on a system's network: one person proposes what to open and whom to trust, another confirms; one ends it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.catalog.models import System
from entitlements.conflicts import independence
from entitlements.errors import Forbidden, NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.networks.models import SystemNetwork
from entitlements.people.models import Person, Role

from . import errors, rules

CONFIRM: Final = (Role.ADMIN, Role.SECURITY)
"""Who may: it opens the guard of the way out, so those confirm who answer for the installation or its security."""
_MOVED: Final = "The system moved to another host."
_State = SystemNetwork.State


@transaction.atomic
def propose(
    system: System,
    *,
    prefixes: Sequence[str] = (),
    company_ca: str = "",
    relayed: Sequence[str] = (),
    by: Person,
    reason: str = "",
) -> SystemNetwork:
    """Propose the private networks, or the hosts behind connectors, and the company CA, in the place of those in force.

    Raises ReasonRequired, NetworkMalformed, NetworkForbidden, NetworkUnchanged, NetworkProposedAlready, NotFound.
    """
    if not reason.strip():
        raise ReasonRequired
    agreed = list(map(str, rules.read_prefixes(prefixes)))
    authority, _ = rules.read_authorities(company_ca, clock.now())
    pairs = list(rules.read_relayed(relayed))
    if not agreed and not authority and not pairs:
        raise errors.NetworkMalformed
    if pairs:
        _check_relayed(system, pairs, agreed)
    _hold(system)
    if system.kind == System.Kind.BUILTIN:
        raise NotFound
    known = current(system)
    if known is not None and (known.prefixes, known.relayed, known.company_ca) == (
        agreed,
        pairs,
        authority,
    ):
        raise errors.NetworkUnchanged
    try:
        with transaction.atomic():
            row = SystemNetwork.objects.create(
                system=system,
                prefixes=agreed,
                relayed=pairs,
                company_ca=authority,
                reason=reason,
                proposed_by=by,
                proposed_at=clock.now(),
            )
    except IntegrityError as error:
        raise errors.NetworkProposedAlready from error
    log.record(Action.SYSTEM_NETWORK_PROPOSED, about=about(row), by=by.principal, reason=reason, detail=_shown(row))
    return row


@transaction.atomic
def confirm(key: UUID, *, by: Person) -> SystemNetwork:
    """Put a proposal in force, as a second person; it replaces what was in force for the system.

    Raises NotFound, NetworkProposalOver, Forbidden, NetworkProposedByOwnAccount.
    """
    row = _held(key, _State.PROPOSED)
    if not by.has_role(*CONFIRM):
        raise Forbidden

    def still_may(who: Person) -> bool:
        roles = who.roles.current().filter(role__in=(Role.ADMIN, Role.ANALYST))
        return who == row.system.owner or roles.exists()

    lapse, own = partial(withdraw, key), errors.NetworkProposedByOwnAccount
    independence.check_second(row.proposed_by, by, still_may=still_may, own=own, lapse=lapse)
    now = clock.now()
    before = SystemNetwork.objects.filter(system=row.system, state=_State.IN_FORCE)
    before.update(state=_State.REPLACED, ended_at=now, end_reason=f"Replaced by the proposal {row.pk}.")
    row.state, row.confirmed_by, row.confirmed_at = _State.IN_FORCE, by, now
    row.save(update_fields=["state", "confirmed_by", "confirmed_at"])
    log.record(
        Action.SYSTEM_NETWORK_CONFIRMED, about=about(row), by=by.principal, reason=row.reason, detail=_shown(row)
    )
    changes.note(subjects.system(row.system_id))
    return row


@transaction.atomic
def withdraw(key: UUID, *, by: Person, reason: str) -> SystemNetwork:
    """Drop a proposal. Raises ReasonRequired, NotFound, NetworkProposalOver."""
    if not reason.strip():
        raise ReasonRequired
    row = _held(key, _State.PROPOSED)
    row.state, row.ended_at, row.end_reason = _State.WITHDRAWN, clock.now(), reason
    row.save(update_fields=["state", "ended_at", "end_reason"])
    log.record(Action.SYSTEM_NETWORK_WITHDRAWN, about=about(row), by=by.principal, reason=reason)
    return row


@transaction.atomic
def end(key: UUID, *, by: Person, reason: str) -> SystemNetwork:
    """End what is in force: one person suffices, and every node closes its connections to the system at once.

    Raises ReasonRequired, NotFound, NetworkProposalOver.
    """
    if not reason.strip():
        raise ReasonRequired
    row = _held(key, _State.IN_FORCE)
    row.state, row.ended_at, row.end_reason = _State.ENDED, clock.now(), reason
    row.save(update_fields=["state", "ended_at", "end_reason"])
    log.record(Action.SYSTEM_NETWORK_ENDED, about=about(row), by=by.principal, reason=reason)
    changes.note(subjects.system(row.system_id))
    return row


def end_of(system: System) -> bool:
    """End the network of a system that moves to another host, and drop what waits; says whether one was in force.

    What two people agreed to was the host before. The caller holds the system, records it and notes it.
    """
    rows, over = SystemNetwork.objects.filter(system=system), {"ended_at": clock.now(), "end_reason": _MOVED}
    rows.filter(state=_State.PROPOSED).update(state=_State.WITHDRAWN, **over)
    return bool(rows.filter(state=_State.IN_FORCE).update(state=_State.ENDED, **over))


def current(system: System) -> SystemNetwork | None:
    """Return what is in force for a system."""
    rows = SystemNetwork.objects.select_related("system", "proposed_by", "confirmed_by")
    return rows.filter(system=system, state=_State.IN_FORCE).first()


def about(row: SystemNetwork) -> list[str]:
    """Return the links by which the record of a system's network is found again."""
    return [f"system:{row.system.slug}"]


def _shown(row: SystemNetwork) -> dict[str, object]:
    prints = [each.fingerprint for each in rules.authorities_of(row.company_ca)]
    shown: dict[str, object] = {"network": str(row.pk), "prefixes": row.prefixes, "company_ca": prints}
    return {**shown, "relayed": row.relayed} if row.relayed else shown


def _check_relayed(system: System, pairs: Sequence[str], prefixes: Sequence[str]) -> None:
    """Check that a system can be reached by a connector. Raises NetworkMalformed."""
    if prefixes:
        raise errors.NetworkMalformed("Name private networks, or hosts that a connector reaches, not both.")
    parts = urlsplit(system.upstream_url)
    if parts.scheme != "https":
        raise errors.NetworkMalformed("A connector relays https alone: the address of the system is not https.")
    own = rules.relayed(parts.hostname or "", parts.port or 443)
    if own not in pairs:
        raise errors.NetworkMalformed(f"The system itself is at {own}: name that host and port as well.")


def _hold(system: System) -> None:
    locks.exclusive((Lock.SYSTEM, system.pk))


def _held(key: UUID, state: str) -> SystemNetwork:
    """Hold the system of a row alone, and return the row. Raises NotFound, NetworkProposalOver."""
    seen = SystemNetwork.objects.select_related("system").filter(pk=key).first()
    if seen is None:
        raise NotFound
    _hold(seen.system)
    row = SystemNetwork.objects.select_related("system", "proposed_by").get(pk=key)
    if row.state != state:
        raise errors.NetworkProposalOver(state=row.state)
    return row
