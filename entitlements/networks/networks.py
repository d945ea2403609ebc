"""Actions on a system's network: one person proposes what to open and whom to trust, another confirms; one ends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from django.db import transaction

from audit import clock
from audit.actions import Action
from entitlements.catalog.models import System
from entitlements.errors import NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.networks.models import SystemNetwork
from entitlements.people.models import Person, Role
from entitlements.proposals.in_force import LastingKind, State, may

from . import errors, rules

_MOVED: Final = "The system moved to another host."


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

    Raises NetworkMalformed, NetworkForbidden, NotFound, and as LastingKind.propose.
    """
    may(by, reason, KIND.proposers)
    agreed = list(map(str, rules.read_prefixes(prefixes)))
    authority, _ = rules.read_authorities(company_ca, clock.now())
    pairs = list(rules.read_relayed(relayed))
    if not agreed and not authority and not pairs:
        raise errors.NetworkMalformed
    if pairs:
        _check_relayed(system, pairs, agreed)
    row = SystemNetwork(system=system, prefixes=agreed, relayed=pairs, company_ca=authority)
    _hold(row)
    if system.kind == System.Kind.BUILTIN:
        raise NotFound
    return KIND.propose(row, by=by, reason=reason)


def end_of(system: System) -> bool:
    """End the network of a system that moves to another host, and drop what waits; says whether one was in force.

    What two people agreed to was the host before. The caller holds the system, records it and notes it.
    """
    rows, over = SystemNetwork.objects.filter(system=system), {"ended_at": clock.now(), "end_reason": _MOVED}
    rows.filter(state=State.PROPOSED).update(state=State.WITHDRAWN, **over)
    return bool(rows.filter(state=State.IN_FORCE).update(state=State.ENDED, **over))


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


def _hold(row: SystemNetwork) -> None:
    locks.exclusive((Lock.SYSTEM, row.system_id))


def _shown(row: SystemNetwork) -> dict[str, object]:
    prints = [each.fingerprint for each in rules.authorities_of(row.company_ca)]
    shown: dict[str, object] = {"network": str(row.pk), "prefixes": row.prefixes, "company_ca": prints}
    return {**shown, "relayed": row.relayed} if row.relayed else shown


def _still_may(who: Person, row: SystemNetwork) -> bool:
    return who == row.system.owner or who.roles.current().filter(role__in=(Role.ADMIN, Role.ANALYST)).exists()


KIND: Final = LastingKind(
    name="network",
    noun="network",
    model=SystemNetwork,
    subject=("system",),
    related=("system",),
    events={
        State.PROPOSED: Action.SYSTEM_NETWORK_PROPOSED,
        State.IN_FORCE: Action.SYSTEM_NETWORK_CONFIRMED,
        State.WITHDRAWN: Action.SYSTEM_NETWORK_WITHDRAWN,
        State.ENDED: Action.SYSTEM_NETWORK_ENDED,
    },
    hold=_hold,
    about=lambda row: [f"system:{row.system.slug}"],
    detail=_shown,
    terms=lambda row: (row.prefixes, row.relayed, row.company_ca),
    follow=lambda row, _by: changes.note(subjects.system(row.system_id)),
    proposers=None,
    enders=None,
    still_may=_still_may,
    codes={"over": "network_proposal_over"},
)
