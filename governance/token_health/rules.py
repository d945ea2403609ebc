"""What is a finding about tokens, and from when on. Pure.

How long a token may live says its system, and how old a sign-in may be the setting `SIGN_IN_MAX_AGE_MINUTES`. What a
token opens is compared with the calls of ninety days, as right-sizing does (`governance/reviews/usage`).
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

from entitlements.token_families import rules as families

RECENT: Final = timedelta(days=7)
"""How long a token is looked at after it was issued."""
SETTLED: Final = timedelta(days=7)
"""Access that is younger has not had the time to be used."""
PRIVILEGED: Final = ("high", "critical")
"""Risk levels of tools that a token should open for the holder of a key alone."""


class Kind(StrEnum):
    """Kinds of findings about tokens, the gravest first."""

    OVER_POLICY = "over_policy"
    """Tokens live longer than their system allows now."""
    WIDER_THAN_USED = "wider_than_used"
    """Tokens open tools that were not called."""
    NO_REAUTHENTICATION = "no_reauthentication"
    """The person signed in longer ago than a sign-in may be old, or at an unknown time."""
    FAMILY_TOO_OLD = "family_too_old"
    """A sign-in has lasted for long, or for longer than its client may have today."""
    STATIC_SECRET = "static_secret"  # noqa: S105 - a kind of finding
    """The client proves who it is by a secret that it sends each time."""
    UNBOUND = "unbound"
    """Tokens that are bound to no key open high-risk tools to any holder."""


def oldest_family(*, is_proven: bool) -> timedelta:
    """Return from which age on a sign-in that lasts is a finding; `is_proven`: whether its client proves who it is.

    Half of the longest that a sign-in may last; without proof all of it, which is hours.
    """
    return families.LONGEST / 2 if is_proven else families.LONGEST_UNPROVEN
