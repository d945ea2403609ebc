"""Revoking the tokens of accounts that ended, at the system's authorization server: by a job, until it is settled."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import BinaryField, F, Q, QuerySet
from django.db.models.functions import Substr

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.connected_accounts import accounts, tokens
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.connected_accounts.tokens import Revoked
from entitlements.secrets import seal, vault
from entitlements.upstream import egress
from entitlements.upstream.token_requests import TokenUnavailable

AT_ONCE: Final = 20
MOST_TRIES: Final = 12
"""With twice the wait after each, the last is two days and a half after the end."""
_FIRST_WAIT: Final = timedelta(minutes=1)

logger = logging.getLogger(__name__)


def revoke_due() -> int:
    """Revoke what is due. Returns how many were settled; what was not answered is tried again later. For a job."""
    return sum(settle(key) for key in _due().order_by("revocation_due_at").values_list("pk", flat=True)[:AT_ONCE])


def settle(account_id: UUID) -> bool:
    """Revoke the tokens of one account that ended, and record what came of it. Says whether that is settled.

    Two at once share the work: each try is claimed. To revoke twice does no harm (RFC 7009 section 2.2).
    """
    account = _claimed(account_id)
    if account is None:
        return False
    result, version = _result(account), account.version
    return False if result is None else _settle(account_id, version, result)


def _due() -> QuerySet[ConnectedAccount]:
    """Return what is due, but for accounts that a node refreshes at this moment: their tokens are about to change."""
    now = clock.now()
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    return ConnectedAccount.objects.filter(free, revocation="pending", revocation_due_at__lte=now)


@transaction.atomic
def _claimed(account_id: UUID) -> ConnectedAccount | None:
    rows = _due().select_related("system", "person").select_for_update(of=("self",), skip_locked=True)
    account = rows.filter(pk=account_id).first()
    if account is None:
        return None
    wait = _FIRST_WAIT * 2 ** min(account.revocation_tries, MOST_TRIES)
    due = clock.now() + wait
    ConnectedAccount.objects.filter(pk=account_id).update(
        revocation_tries=F("revocation_tries") + 1, revocation_due_at=due
    )
    account.revocation_tries += 1
    return account


def _result(account: ConnectedAccount) -> Revoked | None:
    """Ask the authorization server; None where it did not answer and is asked again."""
    try:
        held = tokens.opened(bytes(account.sealed or b""), account.pk)
        credential = vault.open_for(account.system)
        if credential is None or not held.is_of_client(credential):
            return Revoked.UNKNOWN  # only the client may revoke them, and Mandate is that client no longer
        return asyncio.run(tokens.revoke(credential, held))
    except (TokenUnavailable, egress.ForbiddenAddress):
        logger.warning("account_not_revoked", extra={"account": str(account.pk), "tries": account.revocation_tries})
        return Revoked.UNKNOWN if account.revocation_tries >= MOST_TRIES else None
    except seal.SealBroken:
        return Revoked.UNKNOWN


@transaction.atomic
def _settle(account_id: UUID, version: int, result: Revoked) -> bool:
    """Forget the tokens, unless a node has put others in their place meanwhile: those are revoked next."""
    rows = ConnectedAccount.objects.select_for_update(of=("self",)).select_related("system", "person")
    account = rows.filter(pk=account_id, version=version, revocation="pending").first()
    if account is None:
        return False
    account.revocation, account.sealed, account.revocation_settled_at = result.value, None, clock.now()
    account.save(update_fields=["revocation", "sealed", "revocation_settled_at"])
    log.record(
        Action.CONNECTED_ACCOUNT_REVOCATION_SETTLED,
        about=accounts.about(account),
        by=SYSTEM,
        detail={"result": result.value, "tries": account.revocation_tries},
    )
    return True


@transaction.atomic
def reseal(most: int) -> int:
    """Seal up to `most` accounts again that lie under another key-encryption key; says how many. Raises SealBroken.

    The tokens themselves stay, so no node need hear of it.
    """
    begins = Substr("sealed", 1, seal.BEGINNING, output_field=BinaryField())
    rows = ConnectedAccount.objects.annotate(begins=begins).filter(sealed__isnull=False)
    found = rows.exclude(begins=seal.beginning()).order_by("pk").select_for_update(of=("self",))[:most]
    for row in found:
        row.sealed = seal.reseal(bytes(row.sealed or b""), tokens.place(row.pk))
        row.save(update_fields=["sealed"])
    return len(found)
