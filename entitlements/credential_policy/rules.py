"""When a credential ends for its age. Pure.

No change of the policy, and no upgrade that brings the first one, ends at once what works: it has a grace. And none
brings back what had ended, unless the longer age itself allows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

GRACE: Final = timedelta(days=30)
"""How long a credential works at least after the policy was tightened, if it worked until then."""
WARNED_BEFORE: Final = (timedelta(days=30), timedelta(days=7), timedelta(days=1))
"""How long before its end people hear of a credential, each once."""
SHORTEST_DAYS, LONGEST_DAYS = 1, 1825
SHORTEST_OVERLAP_HOURS, LONGEST_OVERLAP_HOURS = 1, 720


class Kind(StrEnum):
    """The kinds of credentials that have a longest age."""

    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a kind
    CLIENT_KEY = "client_key"
    PERSONAL_TOKEN = "personal_token"  # noqa: S105 - as above
    SCIM_TOKEN = "scim_token"  # noqa: S105 - as above
    UPSTREAM_SECRET = "upstream_secret"  # noqa: S105 - as above


DEFAULT_DAYS: Final[Mapping[Kind, int]] = MappingProxyType(
    {
        Kind.CLIENT_SECRET: 365,
        Kind.CLIENT_KEY: 730,
        Kind.PERSONAL_TOKEN: 365,
        Kind.SCIM_TOKEN: 365,
        Kind.UPSTREAM_SECRET: 365,
    }
)
"""A year for what is a secret in two places; two for a key whose private half never travels (NIST SP 800-57, 5.3.6)."""
DEFAULT_OVERLAP_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class AgeLimit:
    """The longest age of one kind. Without `changed_at` it is as old as all credentials, and spares none.

    What was made before `changed_at` works until `grace_until`, but no longer than the limit `before` let it.
    """

    days: int
    changed_at: datetime | None = None
    grace_until: datetime | None = None
    before: AgeLimit | None = None

    def ends_at(self, made: datetime) -> datetime:
        """Return when a credential ends that was made at this time."""
        due = made + timedelta(days=self.days)
        if self.changed_at is None or self.grace_until is None or made > self.changed_at:
            return due
        spared = self.grace_until if self.before is None else min(self.grace_until, self.before.ends_at(made))
        return max(due, spared)

    def changed(self, days: int, now: datetime) -> AgeLimit:
        """Return the limit that follows; the same one where the days are the same."""
        if days == self.days:
            return self
        before = self.without_spent_grace(now)
        grace = max(now + GRACE, before.grace_until or now)
        return AgeLimit(days, changed_at=now, grace_until=grace, before=before)

    def without_spent_grace(self, now: datetime) -> AgeLimit:
        """Return the limit without what has no effect any more."""
        if self.grace_until is None or self.grace_until <= now:
            return AgeLimit(self.days)
        return replace(self, before=None if self.before is None else self.before.without_spent_grace(now))


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy in force: a limit for each kind, the overlap, and whether an upstream secret stops at its end."""

    limits: Mapping[Kind, AgeLimit]
    overlap: timedelta
    stops_upstream_secrets: bool = False

    def ends_at(self, kind: Kind, made: datetime) -> datetime:
        """Return when a credential of this kind ends for its age."""
        return self.limits[kind].ends_at(made)


DEFAULT: Final = Policy(
    {kind: AgeLimit(days) for kind, days in DEFAULT_DAYS.items()}, timedelta(hours=DEFAULT_OVERLAP_HOURS)
)


def written(limits: Mapping[Kind, AgeLimit]) -> dict[str, Any]:
    """Write limits as the policy's row holds them."""
    return {kind.value: _written(limit) for kind, limit in limits.items()}


def _written(limit: AgeLimit) -> dict[str, Any]:
    return {
        "days": limit.days,
        "changed_at": limit.changed_at.isoformat() if limit.changed_at else None,
        "grace_until": limit.grace_until.isoformat() if limit.grace_until else None,
        "before": _written(limit.before) if limit.before else None,
    }


def read(stored: Mapping[str, Any]) -> dict[Kind, AgeLimit]:
    """Read what `written` wrote; a kind that is missing has its default."""
    return {kind: _read(stored[kind]) if kind in stored else DEFAULT.limits[kind] for kind in Kind}


def _read(stored: Mapping[str, Any]) -> AgeLimit:
    changed, grace = stored.get("changed_at"), stored.get("grace_until")
    return AgeLimit(
        int(stored["days"]),
        datetime.fromisoformat(changed) if changed else None,
        datetime.fromisoformat(grace) if grace else None,
        _read(stored["before"]) if stored.get("before") else None,
    )


def warning_due(ends: datetime, now: datetime) -> timedelta | None:
    """Return the nearest of `WARNED_BEFORE` that has begun; None before the first and after the end."""
    if now >= ends:
        return None
    return min((before for before in WARNED_BEFORE if now >= ends - before), default=None)
