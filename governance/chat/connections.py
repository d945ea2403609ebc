"""Connect Mandate to a chat service, say whether messages show names, send a test, and disconnect.

The secrets are stored sealed and are shown to no one again. A connection is tried before it is stored.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from uuid import UUID

from django.db import transaction
from django.db.models import BinaryField, QuerySet
from django.db.models.functions import Substr

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.people.models import Person
from entitlements.secrets import seal
from governance.chat.models import ChatConnection
from governance.mail import outbox
from governance.notices.models import Delivery

from . import slack, teams
from .refusals import ServiceBusy

_Service = ChatConnection.Service


class WrongToken(DomainError):
    """A bot token of Slack begins with xoxb-, and an app-level token with xapp-."""

    code, status = "wrong_chat_token", HTTPStatus.UNPROCESSABLE_ENTITY


class ChatBusy(DomainError):
    """The chat service asks to wait. Try again in a minute."""

    code, status = "chat_busy", HTTPStatus.SERVICE_UNAVAILABLE


def connect_slack(*, bot_token: str, app_token: str = "", by: Principal) -> ChatConnection:
    """Connect to the workspace of a bot's token, or replace the tokens; an app-level token is for Socket Mode.

    Raises WrongToken, ChatRefused with Slack's error, ChatBusy, egress.Unreachable.
    """
    bot_token, app_token = bot_token.strip(), app_token.strip()
    if not bot_token.startswith("xoxb-") or (app_token and not app_token.startswith("xapp-")):
        raise WrongToken
    try:
        name = slack.workspace(bot_token)
        if app_token:
            slack.check_app_token(app_token)
    except ServiceBusy as busy:
        raise ChatBusy from busy
    return store(_Service.SLACK, token=bot_token, app_token=app_token, name=name, by=by)


def connect_teams(*, app_id: UUID, tenant: UUID, secret: str, by: Principal) -> ChatConnection:
    """Connect to the bot of an app in a tenant, or replace its secret.

    Raises ChatRefused with Microsoft's error, ChatBusy, egress.Unreachable.
    """
    given = teams.Credentials(str(app_id), str(tenant), secret.strip())
    try:
        teams.check(given)
    except ServiceBusy as busy:
        raise ChatBusy from busy
    who = {"app_id": given.app_id, "tenant": given.tenant}
    return store(_Service.TEAMS, token=given.secret, name=given.tenant, by=by, **who)


@transaction.atomic
def store(
    service: str, *, token: str, name: str, by: Principal, app_token: str = "", app_id: str = "", tenant: str = ""
) -> ChatConnection:
    """Store a connection that was tried; whether names are shown stays as it is. One event."""
    sealed = {
        "sealed_token": seal.seal(token.encode(), _place(service, "token")),
        "sealed_app_token": seal.seal(app_token.encode(), _place(service, "app-token")) if app_token else None,
    }
    values = {"name": name, "app_id": app_id, "tenant": tenant, **sealed}
    fresh = {"error": "", "error_at": None, "paused_until": None}
    connection, _made = ChatConnection.objects.update_or_create(
        service=service, defaults=values | fresh, create_defaults=values | {"made_at": clock.now()}
    )
    connection.accounts.all().delete()  # another workspace has other users
    detail = {"workspace": name, "socket_mode": bool(app_token)}
    log.record(Action.CHAT_CONNECTED, about=[f"chat:{service}"], by=by, detail=detail)
    return connection


@transaction.atomic
def disconnect(connection: ChatConnection, *, by: Principal, reason: str) -> ChatConnection:
    """Delete the secrets and the accounts of a service, and drop the messages that wait for it. Raises ReasonRequired.

    Raises NotFound.
    """
    if not reason.strip():
        raise ReasonRequired
    locked = _lock(connection)
    waiting = Delivery.objects.filter(channel=locked.service, state=Delivery.State.WAITING)
    waiting.update(state=Delivery.State.DEAD, answer="The chat service was disconnected.")
    locked.delete()
    log.record(Action.CHAT_DISCONNECTED, about=[f"chat:{locked.service}"], by=by, reason=reason)
    return locked


@transaction.atomic
def show_names(connection: ChatConnection, *, names_shown: bool, by: Principal) -> ChatConnection:
    """Choose whether messages name agents, people, entitlements and reviews. The same choice records nothing."""
    locked = _lock(connection)
    if locked.names_shown != names_shown:
        locked.names_shown = names_shown
        locked.save(update_fields=["names_shown"])
        detail = {"names_shown": names_shown}
        log.record(Action.CHAT_NAMES_CHANGED, about=[f"chat:{locked.service}"], by=by, detail=detail)
    return locked


@transaction.atomic
def queue_test(connection: ChatConnection, *, by: Person) -> Delivery:
    """Queue a message to the person who asks, which says that it is a test. Raises NotFound."""
    locked, now = _lock(connection), clock.now()
    log.record(Action.CHAT_TESTED, about=[f"chat:{locked.service}"], by=by.principal)
    return Delivery.objects.create(
        channel=locked.service,
        dedupe=f"{locked.service} test {secrets.token_hex(8)}",
        person=by,
        next_at=now,
        made_at=now,
    )


def usable() -> QuerySet[ChatConnection]:
    """Return the connections to which something may be sent now."""
    return ChatConnection.objects.exclude(paused_until__gt=clock.now())


def note_error(connection: ChatConnection, answer: str) -> None:
    """Keep what a service answered when it refused, for the settings page; "" after it took a message."""
    if answer or connection.error:
        values = {"error": outbox.excerpt(answer), "error_at": clock.now() if answer else None}
        ChatConnection.objects.filter(pk=connection.pk).update(**values)


def _lock(connection: ChatConnection) -> ChatConnection:
    locked = ChatConnection.objects.select_for_update().filter(pk=connection.pk).first()
    if locked is None:
        raise NotFound
    return locked


# ------------------------------------------------------------------------------------------------ sealed values


def token(connection: ChatConnection) -> str:
    """Return the bot's token, or the client secret of the Teams app. Raises SealBroken."""
    return seal.unseal(bytes(connection.sealed_token), _place(connection.service, "token")).decode()


def app_token(connection: ChatConnection) -> str:
    """Return the app-level token; "" where Socket Mode is not set up. Raises SealBroken."""
    sealed = connection.sealed_app_token
    return seal.unseal(bytes(sealed), _place(connection.service, "app-token")).decode() if sealed else ""


def _place(service: str, what: str) -> str:
    return f"chat-{what}:{service}"


@transaction.atomic
def reseal(most: int) -> int:
    """Reseal connections that lie under another key-encryption key; return how many. Raises SealBroken."""
    others = ChatConnection.objects.annotate(
        begins=Substr("sealed_token", 1, seal.BEGINNING, output_field=BinaryField())
    ).exclude(begins=seal.beginning())
    rows = others.order_by("pk").select_for_update()[:most]
    for row in rows:
        row.sealed_token = seal.reseal(bytes(row.sealed_token), _place(row.service, "token"))
        if row.sealed_app_token:
            row.sealed_app_token = seal.reseal(bytes(row.sealed_app_token), _place(row.service, "app-token"))
        row.save(update_fields=["sealed_token", "sealed_app_token"])
    return len(rows)
