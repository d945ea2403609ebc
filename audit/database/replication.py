"""Whether a commit that was answered survives a failover: else what was revoked last would be in force again.

PostgreSQL answers a commit when a synchronous standby has it on disk, if `synchronous_standby_names` names one and
`synchronous_commit` is `on` or `remote_apply`. A server without standbys fails over to nothing, and is asked nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import psycopg
from django.conf import settings

from . import libpq

CHECK: Final = "mandate.E016"
STANDBY_CHECK: Final = "mandate.E017"
_DURABLE: Final = frozenset({"on", "remote_apply"})
_LOST_BY_A_CRASH: Final = "off"

STATE: Final = """
SELECT pg_is_in_recovery(), current_user, current_setting('synchronous_commit'),
       current_setting('synchronous_standby_names'),
       (SELECT count(*) FROM pg_stat_replication r
         WHERE NOT EXISTS (SELECT FROM pg_stat_progress_basebackup b WHERE b.pid = r.pid)
           AND NOT EXISTS (SELECT FROM pg_replication_slots s
                            WHERE s.active_pid = r.pid AND (s.temporary OR s.slot_type = 'logical')))
       + (SELECT count(*) FROM pg_replication_slots s
           WHERE s.slot_type = 'physical' AND NOT s.temporary AND NOT s.active)
"""
"""A base backup and a logical subscriber are no standbys; one that is away, and has its slot kept, is. Any role may
read these views' numbers."""


class Failover(StrEnum):
    """What DATABASE_FAILOVER says: whether another server may take the primary's place."""

    AUTO = "auto"
    YES = "yes"
    NO = "no"


class State(NamedTuple):
    """What one role sees of its server."""

    is_standby: bool
    role: str
    commit: str
    names: str
    standbys: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Why commits are not safe: the id of the check, and a sentence for the operator."""

    check: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.check}: {self.sentence}"


def problem(state: State, failover: Failover) -> Problem | None:
    """Return what is wrong with a server for this role; None when nothing is."""
    if state.is_standby:
        return Problem(
            STANDBY_CHECK, "The database address leads to a standby. Use the address of the server that takes writes."
        )
    fails_over = failover is Failover.YES or (failover is Failover.AUTO and state.standbys > 0)
    if state.commit == _LOST_BY_A_CRASH or (fails_over and state.commit not in _DURABLE):
        return Problem(
            CHECK,
            f"synchronous_commit is {state.commit} for the role {state.role}: a revocation that was answered can be"
            f" lost. Set it to on: ALTER ROLE {state.role} SET synchronous_commit = 'on'.",
        )
    if not fails_over or state.names:
        return None
    why = "DATABASE_FAILOVER is yes" if failover is Failover.YES else f"the database has {state.standbys} standby(s)"
    return Problem(
        CHECK,
        f"Commits are asynchronous and {why}: after a failover what was revoked last would be in force again. Set"
        " synchronous_standby_names (Patroni: synchronous_mode; CloudNativePG: postgresql.synchronous), or"
        " DATABASE_FAILOVER=no if no standby is ever promoted.",
    )


def read(address: str) -> State:
    """Ask the server of an address. Raises psycopg.Error."""
    with psycopg.connect(address, autocommit=True, application_name="mandate-check") as connection:
        return of(connection.execute(STATE).fetchone())


def of(row: tuple[Any, ...] | None) -> State:
    """Return the state from the row that STATE returns."""
    return State(*(row or ()))


def problems(*databases: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the databases of these entries of the settings, as each entry's role sees it.

    A server that does not answer says nothing: `mandate_database_synchronous` tells later.
    """
    found: list[Problem] = []
    for address in dict.fromkeys(map(libpq.address, databases)):
        with contextlib.suppress(psycopg.Error):
            found += filter(None, [problem(read(address), Failover(settings.DATABASE_FAILOVER))])
    return found


def refuse(*databases: Mapping[str, Any]) -> None:
    """End the process, with a sentence, when commits to one of the databases would not survive a failover."""
    for each in problems(*databases):
        raise SystemExit(str(each))
