"""Connecting an account: the person chooses agents, goes to the system's authorization server, and comes back once.

The code is redeemed in the process that serves people, and what comes back is sealed at once: from then on the gateway
opens it for calls, and a job for its revocation.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import uuid4

import msgspec
from django.conf import settings as site
from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.connected_accounts import accounts, errors, offers, rules, tokens
from entitlements.connected_accounts.models import AccountConsent, AccountSignIn, ConnectedAccount
from entitlements.connected_accounts.rules import Pending, SignInAnswer
from entitlements.errors import DomainError, Forbidden
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.secrets import seal, vault
from entitlements.secrets.models import Secret
from entitlements.upstream import egress
from entitlements.upstream.token_requests import TokenRefused, TokenUnavailable

WITHIN: Final = timedelta(minutes=10)
"""How long a visit to the authorization server may take."""
_AGAIN: Final = "Connected again."
_read_pending: Final = msgspec.json.Decoder(Pending)

logger = logging.getLogger(__name__)


def begin(system: System, chosen: Collection[tuple[int, int]], *, by: Person, browser: str) -> str:
    """Begin a sign-in at a system's authorization server; returns where the browser goes.

    `chosen` are the client and agent, by primary key, that may use the account; `browser` is the secret name of the
    browser's session. A sign-in that the person began before at this system is over. Raises AccountsNotUsed,
    NoAgentChosen, AgentNotOffered, AccountServerUnusable, ForbiddenAddress.
    """
    credential = credential_of(system)
    check_choice(system, chosen, by)
    endpoints = asyncio.run(tokens.endpoints(credential.settings))
    egress.check_url(endpoints.authorization_url)
    client_id = credential.settings["client_id"]
    pending = Pending(endpoints, client_id, secrets.token_urlsafe(48), sorted(chosen))
    state = secrets.token_urlsafe(32)
    AccountSignIn.objects.update_or_create(
        system=system,
        person=by,
        defaults={
            "state_sha256": rules.digest(state),
            "browser_sha256": rules.digest(browser),
            "sealed": seal.seal(msgspec.json.encode(pending), _place(system, by)),
            "expires_at": clock.now() + WITHIN,
        },
    )
    return rules.authorization_address(pending, credential.settings, redirect_uri(system), state)


def finish(answer: SignInAnswer, *, by: Person) -> ConnectedAccount:
    """Take the answer of an authorization server, and connect the account that it is about.

    The answer is used up whatever comes of it. Raises what `rules.check_answer` raises, AccountSignInUnknown,
    AccountRefusedUpstream, AccountServerUnusable, and what `_store` raises.
    """
    row = _used_up(answer.state)
    system = row.system
    pending = _read_pending.decode(seal.unseal(bytes(row.sealed), _place(system, row.person)))
    path = redirect_path(system)
    code = rules.check_answer(answer, pending, person=row.person_id, browser=row.browser_sha256, path=path)
    credential = credential_of(system)
    if (credential.settings["issuer"], credential.settings["client_id"]) != (
        pending.endpoints.issuer,
        pending.client_id,
    ):
        raise errors.AccountRedirectMismatch  # the credential is of another authorization server by now
    held, scope = _redeemed(credential, pending, code, system)
    try:
        return _store(system, pending, held, scope, by=by)
    except DomainError:
        _give_back(credential, held)
        raise


def credential_of(system: System) -> vault.Credential:
    """Return the credential by which accounts of people are connected. Raises AccountsNotUsed."""
    credential = vault.open_for(system)
    if credential is None or credential.kind != Secret.Kind.OAUTH_USER:
        raise errors.AccountsNotUsed
    return credential


def check_choice(system: System, chosen: Collection[tuple[int, int]], person: Person) -> None:
    """Check that agents were chosen, and that each acts for the person. Raises NoAgentChosen, AgentNotOffered."""
    if not chosen:
        raise errors.NoAgentChosen
    if rules.missing(chosen, offers.by_key(offers.for_person(person, system))):
        raise errors.AgentNotOffered


def redirect_path(system: System) -> str:
    """Return the path to which this system's authorization server, and no other, sends people back."""
    return f"{addresses.CONNECTED_ACCOUNTS}{system.slug}/{rules.redirect_key(system.pk)}/callback"


def redirect_uri(system: System) -> str:
    """Return the redirect address that is registered at the authorization server of a system."""
    return f"{site.CONSOLE_URL}{redirect_path(system)}"


def forget_expired() -> int:
    """Delete sign-ins that took too long. Returns how many. For a job."""
    return AccountSignIn.objects.filter(expires_at__lte=clock.now()).delete()[0]


@transaction.atomic
def _used_up(state: str) -> AccountSignIn:
    """Take the sign-in that a state names; nothing comes back with it again. Raises AccountSignInUnknown."""
    rows = AccountSignIn.objects.select_related("system", "person").select_for_update(of=("self",))
    row = rows.filter(state_sha256=rules.digest(state)).first() if state else None
    if row is None:
        raise errors.AccountSignInUnknown
    AccountSignIn.objects.filter(pk=row.pk).delete()
    if row.expires_at <= clock.now():
        raise errors.AccountSignInUnknown
    return row


def _redeemed(
    credential: vault.Credential, pending: Pending, code: str, system: System
) -> tuple[tokens.AccountTokens, str]:
    try:
        return asyncio.run(tokens.redeem(credential, pending, code, redirect_uri(system), system.upstream_url))
    except TokenRefused as why:
        raise errors.AccountRefusedUpstream(error=why.detail.get("error", "")) from why
    except (TokenUnavailable, egress.ForbiddenAddress) as why:
        raise errors.AccountServerUnusable(why.message) from why


@transaction.atomic
def _store(system: System, pending: Pending, held: tokens.AccountTokens, scope: str, *, by: Person) -> ConnectedAccount:
    """Keep an account, in the place of one before it. Raises Forbidden, AccountsNotUsed, AgentNotOffered."""
    locks.exclusive((Lock.PERSON, by.pk))  # who disables the person holds it too
    if not Person.objects.filter(pk=by.pk, is_active=True).exists():
        raise Forbidden
    if not held.is_of(vault.open_for(system), System.objects.get(pk=system.pk).upstream_url):
        raise errors.AccountsNotUsed
    offered = offers.by_key(offers.for_person(by, system))
    if rules.missing(pending.chosen, offered):
        raise errors.AgentNotOffered
    accounts.end_open(system, by, by=by.principal, reason=_AGAIN)
    now, pk = clock.now(), uuid4()
    account = ConnectedAccount.objects.create(
        id=pk,
        system=system,
        person=by,
        issuer=held.endpoints.issuer,
        upstream_client=held.client_id,
        scope=scope[:1000],
        sealed=tokens.sealed(held, pk),
        connected_at=now,
    )
    AccountConsent.objects.bulk_create(
        AccountConsent(account=account, client_id=client, agent_id=agent, given_at=now)
        for client, agent in pending.chosen
    )
    detail = {"issuer": account.issuer, "clients": [offered[key].client.client_id for key in pending.chosen]}
    log.record(Action.CONNECTED_ACCOUNT_CONNECTED, about=accounts.about(account), by=by.principal, detail=detail)
    return account


def _give_back(credential: vault.Credential, held: tokens.AccountTokens) -> None:
    """Revoke tokens that are not kept; that it fails changes nothing here."""
    try:
        asyncio.run(tokens.revoke(credential, held))
    except (TokenUnavailable, egress.ForbiddenAddress):
        logger.warning("account_tokens_not_given_back", extra={"issuer": held.endpoints.issuer})


def _place(system: System, person: Person) -> str:
    return f"account-sign-in:{system.pk}:{person.pk}"
