"""Assertions are used once: a row claims the `jti` before anything is minted on it (EMA-R-6, RFC 7523 section 3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from audit import clock
from entitlements import prepared
from entitlements.errors import DomainError
from entitlements.tokens.models import UsedAssertion

MARGIN: Final = timedelta(minutes=2)
"""How much longer than the assertion its claim is kept: more than any leeway of a clock."""

_CLAIM: Final = """
INSERT INTO entitlements_usedassertion (issuer, jti, expires_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1
"""


class AlreadyUsed(DomainError):
    """The assertion was used before. Make a new one."""

    code, status = "assertion_replayed", HTTPStatus.BAD_REQUEST


def claim(issuer: str, jti: str, expires: float) -> None:
    """Use an assertion up; a second use waits for the first to commit. Raises AlreadyUsed."""
    until = datetime.fromtimestamp(expires, clock.now().tzinfo) + MARGIN
    if prepared.row(_CLAIM, [issuer, jti, until]) is None:
        raise AlreadyUsed


def forget_expired(limit: int = 10_000) -> int:
    """Delete claims whose assertions are long dead. Returns how many. For a job."""
    old = UsedAssertion.objects.filter(expires_at__lt=clock.now()).values_list("pk", flat=True)[:limit]
    deleted, _ = UsedAssertion.objects.filter(pk__in=list(old)).delete()
    return deleted
