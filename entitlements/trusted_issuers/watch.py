"""Look at the key sets of trusted issuers now and then, so that people hear before tokens are refused.

What a worker sees is kept for the console. The nodes of the edge fetch for themselves, and keep what they fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.keys import jws
from entitlements.trusted_issuers.models import IssuerKeys, TrustedIssuer
from entitlements.upstream import egress

from . import spiffe
from .key_sets import NOT_READ, STALE_SECONDS

EVERY: Final = timedelta(minutes=5)
"""How often a worker looks."""
SERVES: Final = timedelta(seconds=STALE_SECONDS)
"""How long a node serves with the last set that it fetched."""
REPORTED_AFTER: Final = SERVES / 2
"""After this time without an answer it is recorded, so that half of it is left to act."""
_LONGEST_PROBLEM: Final = 300


def look() -> None:
    """Fetch the keys of every issuer that is trusted by an address, one after the other, outside of transactions."""
    for issuer in TrustedIssuer.objects.filter(enabled=True, jwks__isnull=True).order_by("pk"):
        keys, problem = _read(issuer)
        keep(issuer, keys, problem)


def _read(issuer: TrustedIssuer) -> tuple[list[Mapping[str, Any]], str]:
    allowed = issuer.algorithms or [jws.ES256]
    try:
        keys = spiffe.key_set(issuer.issuer, egress.read_json(issuer.jwks_uri), allowed)
    except NOT_READ as problem:
        return [], str(problem) or type(problem).__name__
    named: list[Mapping[str, Any]] = [{"kid": key.kid, "alg": key.algorithm} for key in keys]
    return named, "" if named else f"The set holds no key for {', '.join(allowed)}."


@transaction.atomic
def keep(issuer: TrustedIssuer, keys: list[Mapping[str, Any]], problem: str) -> IssuerKeys:
    """Keep what was seen. Records once that an issuer cannot be reached for long, and once that it answers again."""
    now = clock.now()
    row, _ = IssuerKeys.objects.select_for_update().get_or_create(issuer=issuer, defaults={"tried_at": now})
    row.tried_at, row.problem = now, problem[:_LONGEST_PROBLEM]
    if not problem:
        if row.reported_at is not None:
            _record(Action.ISSUER_KEYS_REACHABLE, row, "success")
        row.keys, row.fetched_at, row.failing_since, row.reported_at = list(keys), now, None, None
    else:
        row.failing_since = row.failing_since or now
        if row.reported_at is None and now - row.failing_since >= REPORTED_AFTER:
            row.reported_at = now
            _record(Action.ISSUER_KEYS_UNREACHABLE, row, "failure")
    row.save()
    return row


def _record(action: Action, row: IssuerKeys, outcome: str) -> None:
    detail = {
        "jwks_uri": row.issuer.jwks_uri,
        "failing_since": row.failing_since.isoformat() if row.failing_since else None,
        "fetched_at": row.fetched_at.isoformat() if row.fetched_at else None,
        "problem": row.problem,
    }
    log.record(action, about=[f"issuer:{row.issuer.issuer}"], by=SYSTEM, outcome=outcome, detail=detail)
