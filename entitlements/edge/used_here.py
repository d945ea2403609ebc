"""Assertions that this process has seen, until they end: for what mints and ends nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from audit import clock
from entitlements.tokens.issue_token import MARGIN, Claim

MOST_KEPT: Final = 100_000


class UsedHere:
    """Remembers each assertion until its end. When there are too many the oldest are taken for used no more."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], datetime] = {}

    def knows(self, claim: Claim) -> bool:
        """Say whether an assertion was used here before."""
        until = self._until.get((claim.issuer, claim.jti))
        return until is not None and until > clock.now()

    def claim(self, claim: Claim) -> bool:
        """Use an assertion up; False when it was used here before."""
        if self.knows(claim):
            return False
        if len(self._until) >= MOST_KEPT:
            self._forget()
        self._until[claim.issuer, claim.jti] = claim.expires + MARGIN
        return True

    def _forget(self) -> None:
        now = clock.now()
        self._until = {key: until for key, until in self._until.items() if until > now}
        while len(self._until) >= MOST_KEPT:
            del self._until[next(iter(self._until))]
