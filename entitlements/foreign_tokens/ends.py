"""Ends of foreign tokens: which of them a receipt waits for, each end as it was measured, and their signed statement.

A receipt is signed when the nodes obey. What trying foreign tokens finds comes later, in a statement of its own by the
same key; where a later try finds something else it is signed anew.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.catalog.models import System
from entitlements.connected_accounts import accounts
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.keys import signing
from entitlements.revocation.models import Revocation
from entitlements.signers.signer import SignerUnreachable

from . import residual
from .models import ForeignToken, MeasuredEnds
from .rules import End, Finding, Unknown, VendorAnswer

STATEMENT_TYP: Final = "mandate-measured-ends+jwt"
AT_ONCE: Final = 100
_STAYS_AFTER: Final = timedelta(minutes=2)
"""An account that a stop did not end by then goes on: a job ends those that nothing stands behind within seconds."""


def begin(revocation: Revocation) -> None:
    """Name the foreign tokens that a stop's receipt waits for, within its transaction. Without any nothing waits."""
    left = residual.accounts_left(revocation.target_type, revocation.target_id).distinct()
    tokens = [of_account(account) for account in left]
    minted = [each["where"] for each in revocation.residual if each["what"] == residual.MINTED]
    now = clock.now()
    tokens += [
        ForeignToken.objects.create(system=system, named_at=now) for system in System.objects.filter(slug__in=minted)
    ]
    if tokens:
        MeasuredEnds.objects.create(revocation=revocation).tokens.set(tokens)


def of_account(account: ConnectedAccount) -> ForeignToken:
    """Return the row that measures the end of an account's tokens; it is made once."""
    made = {"system_id": account.system_id, "named_at": clock.now()}
    return ForeignToken.objects.get_or_create(account=account, defaults=made)[0]


def note(token: ForeignToken, *, answer: VendorAnswer, alive_at: datetime | None) -> None:
    """Keep what the vendor answered, and when the tokens last worked."""
    ForeignToken.objects.filter(pk=token.pk).update(
        answer=answer, last_alive_at=token.last_alive_at if alive_at is None else alive_at
    )


@transaction.atomic
def measure(token_id: UUID, finding: Finding, at: datetime) -> bool:
    """Write the end of a token as it was measured. Says whether that is new; statements about it are signed anew."""
    rows = ForeignToken.objects.select_related("system", "account__person").select_for_update(of=("self",))
    token = rows.get(pk=token_id)
    if token.end == finding.end:
        return False
    token.end, token.found_by, token.measured_at = finding.end, " ".join(finding.found_by), at
    token.why = finding.why or ""
    token.save(update_fields=["end", "found_by", "measured_at", "why"])
    token.waited_for.update(statement="", signed_at=None)
    log.record(Action.FOREIGN_TOKEN_MEASURED, about=_about(token), by=SYSTEM, detail=_described(token))
    return True


def settle_untried() -> int:
    """Write the end of what cannot be tried: held by others, forgotten, or in use on. Returns how many. For a job."""
    now = clock.now()
    rows = ForeignToken.objects.filter(end=End.PENDING)
    gone = Q(account=None) | Q(account__sealed=None)
    stays = Q(account__ended_at=None, named_at__lt=now - _STAYS_AFTER)
    untried = {Unknown.NOT_HELD: rows.filter(gone), Unknown.ACCOUNT_STAYS: rows.filter(stays)}
    return sum(
        measure(key, Finding(End.UNKNOWN, why=why), now)
        for why, found in untried.items()
        for key in found.order_by("named_at").values_list("pk", flat=True)[:AT_ONCE]
    )


def sign_due(issuer: str) -> int:
    """Sign the statements of receipts whose tokens are all measured, as `issuer`. Returns how many. For a job."""
    due = MeasuredEnds.objects.filter(statement="").exclude(tokens__end=End.PENDING).exclude(revocation__receipt="")
    return sum(_sign(key, issuer) for key in due.values_list("pk", flat=True)[:AT_ONCE])


@transaction.atomic
def _sign(revocation_id: UUID, issuer: str) -> bool:
    """Sign one statement; without its signer it is signed by a later job."""
    rows = MeasuredEnds.objects.select_related("revocation").select_for_update(of=("self",), skip_locked=True)
    ends = rows.filter(pk=revocation_id, statement="").first()
    if ends is None:
        return False
    tokens = list(ends.tokens.select_related("system", "account__person").order_by("system__slug", "pk"))
    if any(token.end == End.PENDING for token in tokens):
        return False
    now = clock.now()
    try:
        ends.statement = signing.sign(issuer, _statement(ends.revocation, tokens, now), typ=STATEMENT_TYP)
    except SignerUnreachable:
        return False
    ends.signed_at = now
    ends.save(update_fields=["statement", "signed_at"])
    detail = {"ends": [_described(token) for token in tokens]}
    log.record(Action.REVOCATION_ENDS_SIGNED, about=[f"revocation:{revocation_id}"], by=SYSTEM, detail=detail)
    return True


def _statement(revocation: Revocation, tokens: list[ForeignToken], now: datetime) -> dict[str, Any]:
    """Say of which receipt it is, to the byte, and how each foreign token ended."""
    return {
        "id": str(revocation.pk),
        "target": {"type": revocation.target_type, "id": revocation.target_id},
        "committed_at": revocation.committed_at.isoformat(),
        "receipt_sha256": hashlib.sha256(revocation.receipt.encode()).hexdigest(),
        "ends": [_described(token) for token in tokens],
        "signed_at": now.isoformat(),
    }


def _described(token: ForeignToken) -> dict[str, Any]:
    """Return what a statement and an event say of one token."""
    measured = {"dead": "dead_at", "alive": "alive_at"}.get(token.end, "unknown_at")
    return {
        "system": token.system.slug,
        "token": "vendor" if token.account_id is None else f"connected_account:{token.account_id}",
        "vendor_answer": token.answer or None,
        "end": token.end,
        measured: token.measured_at.isoformat() if token.measured_at else None,
        **({"found_by": token.found_by.split(" ")} if token.found_by else {}),
        **({"why": token.why} if token.why else {}),
        "tries": token.tries,
    }


def _about(token: ForeignToken) -> list[str]:
    about = [f"system:{token.system.slug}"] if token.account is None else accounts.about(token.account)
    return [*(f"revocation:{key}" for key in token.waited_for.values_list("pk", flat=True)), *about]
