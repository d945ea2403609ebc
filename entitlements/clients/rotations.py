"""What people do about rotations: replace a client's keys, and revoke a rotation that they do not trust."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from audit.export import timeline
from entitlements.clients.models import Client, ClientCredential
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.errors import DomainError
from entitlements.feed import subjects
from entitlements.keys import public_keys
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families import families

from . import clients, credentials, key_history
from .clients import Registered


class NoKeys(DomainError):
    """The client does not sign with keys that are registered here, so there are none to replace."""

    code, status = "client_has_no_keys", HTTPStatus.CONFLICT


class KeyNotNew(DomainError):
    """The client has one of these keys, or had it before. Make a new one."""

    code, status = "key_is_not_new", HTTPStatus.CONFLICT


class RotatedAgain(DomainError):
    """The credential before the newest was made by a rotation too. Replace the credential instead."""

    code, status = "client_rotated_again", HTTPStatus.CONFLICT


class NotRotated(DomainError):
    """No rotation can be revoked: the client holds one credential. Give it a new one, or disable it."""

    code, status = "client_not_rotated", HTTPStatus.CONFLICT


@transaction.atomic
def replace_keys(
    client: Client, jwks: Mapping[str, Any], *, by: Principal, reason: str, keep_previous: bool = False
) -> Registered:
    """Give a client other public keys, as `clients.rotate_secret` gives another secret.

    Raises NotFound, NoKeys, BadKey, PrivateKeyGiven, KeyNotNew, credentials.NoAcceptor.
    """
    held = clients.hold_alone(client)
    if held.auth != Client.Auth.PRIVATE_KEY_JWT or held.client_id.startswith("https://"):
        raise NoKeys(auth=held.auth)
    public_keys.check_registered(jwks)
    if own_connection.run(key_history.has_had(READS, held.client_id, jwks["keys"])):
        raise KeyNotNew
    purpose = ClientCredential.Purpose.KEYS
    wanted = credentials.new_for(held, purpose, reason=reason, keep_previous=keep_previous)
    wanted.jwks = dict(jwks)
    return clients.give(held, wanted, None, by=by)


@transaction.atomic
def revoke_rotation(client: Client, *, by: Principal, reason: str) -> Client:
    """End a client's newest credential at once and let the one before it, which still works, be the only one.

    What was issued to the client is dead, since who rotated may hold it. One that the client made itself is never left
    as the only one: who stole the one before rotated twice. Raises NotFound, NotRotated, RotatedAgain.
    """
    held = clients.hold_alone(client)
    now = clock.now()
    if held.previous_ends_at is None or held.previous_made_at is None or now >= held.previous_ends_at:
        raise NotRotated
    if is_rotated_again(held):
        raise RotatedAgain
    held.secret_sha256, held.jwks = held.previous_secret_sha256, held.previous_jwks
    held.credential_made_at, held.tokens_valid_after = held.previous_made_at, now
    credentials.forget_previous(held)
    held.save(update_fields=[*credentials.CREDENTIAL_COLUMNS, "tokens_valid_after", "updated"])
    log.record(Action.CLIENT_ROTATION_REVOKED, about=clients.about(held), by=by, reason=reason)
    sessions.end_all_of(Session.objects.filter(client=held), subjects.client(held.pk), by=by, reason=reason)
    families.end_all_of(subjects.client(held.pk), by=by, reason=reason)
    clients.note(held)
    return held


def is_rotated_again(client: Client) -> bool:
    """Whether the credential before the newest, where there is one, was made by a rotation of the client itself."""
    made = client.previous_made_at
    if made is None:
        return False
    if client.agent_id is not None:
        return own_connection.run(key_history.was_rotated(READS, client.client_id, made))
    events = timeline.about(f"client:{client.client_id}")  # without an agent no person accepts, so no row says it
    return events.filter(action=Action.CLIENT_CREDENTIAL_ROTATED, at=made).exists()
