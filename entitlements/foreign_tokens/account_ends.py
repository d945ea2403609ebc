"""Ending the tokens of accounts that are over: revoked at their server, then tried until they are dead. By a job.

The tokens are kept until both are settled, and forgotten then. Each pass over an account is claimed for longer than it
takes, so a worker that dies leaves it to the next sweep. To revoke twice does no harm (RFC 7009 section 2.2).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.connected_accounts import accounts, tokens
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.connected_accounts.tokens import AccountTokens, Revoked
from entitlements.secrets import seal
from entitlements.upstream import egress
from entitlements.upstream.token_requests import TokenUnavailable

from . import ends, rules, tries
from .models import ForeignToken
from .rules import End, Finding, Unknown, VendorAnswer

AT_ONCE: Final = 20
MOST_TRIES: Final = 12
"""With twice the wait after each, the last is two days and a half after the end."""
_FIRST_WAIT: Final = timedelta(minutes=2)
"""Longer than a pass takes, with every endpoint at its slowest: until then no other worker takes the account."""
_SETTLED: Final = {VendorAnswer.REVOKED: Revoked.REVOKED, VendorAnswer.REFUSED: Revoked.REFUSED}

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pass:
    """What one pass over an account did: what its server answered, and what the tries found."""

    answer: VendorAnswer
    finding: Finding
    renewed: AccountTokens | None = None


def settle_due() -> int:
    """Revoke and try what is due. Returns how many were settled; the others are tried again later. For a job."""
    return sum(settle(key) for key in _due().order_by("revocation_due_at").values_list("pk", flat=True)[:AT_ONCE])


def settle(account_id: UUID) -> bool:
    """Revoke and try the tokens of one account that ended, and record what came of it. Says whether that is settled."""
    claimed = _claimed(account_id)
    if claimed is None:
        return False
    account, token = claimed
    done = _pass_over(account, token)
    if done.renewed is not None and not _keep(account, done.renewed):
        return False
    is_final = _measure(token, done)
    if is_final and (done.answer != VendorAnswer.NO_ANSWER or _gives_up(account, done)):
        return _settle(account, _SETTLED.get(done.answer, Revoked.UNKNOWN))
    _wait(account, token, done, is_final=is_final)
    return False


def _due() -> QuerySet[ConnectedAccount]:
    """Return what is due, but for accounts that a node refreshes at this moment: their tokens are about to change."""
    now = clock.now()
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    return ConnectedAccount.objects.filter(free, revocation="pending", revocation_due_at__lte=now)


@transaction.atomic
def _claimed(account_id: UUID) -> tuple[ConnectedAccount, ForeignToken] | None:
    rows = _due().select_related("system", "person").select_for_update(of=("self",), skip_locked=True)
    account = rows.filter(pk=account_id).first()
    if account is None:
        return None
    now = clock.now()
    ConnectedAccount.objects.filter(pk=account_id).update(revocation_due_at=now + _FIRST_WAIT)
    token = ends.of_account(account)
    ForeignToken.objects.filter(pk=token.pk).update(tries=F("tries") + 1, began_at=token.began_at or now)
    token.refresh_from_db()
    return account, token


def _pass_over(account: ConnectedAccount, token: ForeignToken) -> _Pass:
    """Note once which ways take the tokens; then revoke them and try these ways."""
    try:
        held = tries.held(account.system, tokens.opened(bytes(account.sealed or b""), account.pk))
    except seal.SealBroken:
        return _Pass(VendorAnswer.NOT_OURS, Finding(End.UNKNOWN, why=Unknown.NOT_OPENED))
    if token.accepted_before is None:
        token.accepted_before = rules.accepted(asyncio.run(tries.before(held)))
        token.save(update_fields=["accepted_before"])
    return asyncio.run(_revoke_and_try(account, held, token))


async def _revoke_and_try(account: ConnectedAccount, held: tries.Held, token: ForeignToken) -> _Pass:
    """Ask for the revocation, unless that was answered before, and try the tokens whatever the answer is."""
    answer = VendorAnswer(token.answer) if token.answer else VendorAnswer.NO_ANSWER
    is_asked = answer == VendorAnswer.NO_ANSWER
    if is_asked:
        answer = await _asked(account, held, held.tokens)
    made, renewed = await tries.run(held, patient=is_asked and answer == VendorAnswer.REVOKED)
    if renewed is not None:
        await _asked(account, held, renewed)
    grounded = rules.proven(made, token.accepted_before or (), certain=held.certain)
    return _Pass(answer, rules.find(held.parts, grounded), renewed)


async def _asked(account: ConnectedAccount, held: tries.Held, of: AccountTokens) -> VendorAnswer:
    if held.credential is None or not held.is_ours:
        return VendorAnswer.NOT_OURS  # only the client may revoke them, and Mandate is that client no longer
    if not of.endpoints.revocation_url:
        return VendorAnswer.NOT_OFFERED
    try:
        return VendorAnswer(str(await tokens.revoke(held.credential, of)))
    except (TokenUnavailable, egress.ForbiddenAddress):
        extra = {"account": str(account.pk), "tries": account.revocation_tries + 1}
        logger.warning("account_not_revoked", extra=extra)
        return VendorAnswer.NO_ANSWER


def _gives_up(account: ConnectedAccount, done: _Pass) -> bool:
    """Say whether a server that did not answer is asked no more: its tokens are dead anyway, or it had its tries."""
    return done.finding.end == End.DEAD or account.revocation_tries + 1 >= MOST_TRIES


def _keep(account: ConnectedAccount, renewed: AccountTokens) -> bool:
    """Keep what a refresh gave, for the next try. Says whether they are still the newest."""
    sealed = tokens.sealed(renewed, account.pk)
    rows = ConnectedAccount.objects.filter(pk=account.pk, version=account.version, revocation="pending")
    account.version += 1
    return bool(rows.update(sealed=sealed, version=account.version))


def _measure(token: ForeignToken, done: _Pass) -> bool:
    """Note what a pass found, and write the end where it stands. Says whether it does."""
    now = clock.now()
    is_final = rules.is_final(done.finding, done.answer, _tried_for(token, now))
    ends.note(token, answer=done.answer, alive_at=now if done.finding.end == End.ALIVE else None)
    if is_final:
        ends.measure(token.pk, done.finding, now)
    return is_final


def _tried_for(token: ForeignToken, now: datetime) -> timedelta:
    return now - (token.began_at or now)


@transaction.atomic
def _wait(account: ConnectedAccount, token: ForeignToken, done: _Pass, *, is_final: bool) -> None:
    """Let the next try be due: soon while the end is measured; else as a server is asked that does not answer."""
    asked = account.revocation_tries + (done.answer == VendorAnswer.NO_ANSWER)
    wait = timedelta(minutes=1) * 2 ** min(asked, MOST_TRIES) if is_final else rules.wait(token.tries)
    rows = ConnectedAccount.objects.filter(pk=account.pk, revocation="pending")
    rows.update(revocation_tries=asked, revocation_due_at=clock.now() + wait)


@transaction.atomic
def _settle(account: ConnectedAccount, result: Revoked) -> bool:
    """Forget the tokens, unless a node has put others in their place meanwhile: those are revoked next."""
    rows = ConnectedAccount.objects.select_for_update(of=("self",)).select_related("system", "person")
    found = rows.filter(pk=account.pk, version=account.version, revocation="pending").first()
    if found is None:
        return False
    found.revocation, found.sealed, found.revocation_settled_at = result.value, None, clock.now()
    found.revocation_tries = account.revocation_tries + 1
    found.save(update_fields=["revocation", "sealed", "revocation_settled_at", "revocation_tries"])
    log.record(
        Action.CONNECTED_ACCOUNT_REVOCATION_SETTLED,
        about=accounts.about(found),
        by=SYSTEM,
        detail={"result": result.value, "tries": found.revocation_tries},
    )
    return True
