"""Slack's Socket Mode: a websocket that Mandate opens, so that Slack needs no way in.

It answers `/mandate` and fills the app's home with what waits for the person, and acknowledges everything within the
three seconds that Slack gives (https://docs.slack.dev/apis/events-api/using-socket-mode). Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import aiohttp
from asgiref.sync import sync_to_async
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.utils.translation import gettext as _

from audit import alive
from entitlements import strict
from entitlements.errors import DomainError
from entitlements.people.models import Person
from entitlements.upstream import egress
from governance.chat.models import ChatAccount, ChatConnection

from . import connections, messages, slack
from .refusals import NoAccount, ServiceBusy

logger = logging.getLogger(__name__)
type Waits = Callable[[Person], Sequence[messages.Waiting]]
"""What waits for a person's decision, by the query of Home."""

ANSWER_SECONDS: Final = 2.0
"""How long the answer to a command may take; Slack waits for three seconds."""
_LOOK_AGAIN: Final = 5.0
_MOST_DOUBLED: Final = 6
"""How often the pause after a failure doubles: to a minute."""
_LARGEST: Final = 256 * 1024
_HEARTBEAT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """The connection of Slack with its tokens, as they are now, and the identifier of its workspace, once asked for."""

    connection: ChatConnection
    bot: str
    app: str
    team: str = field(default="", compare=False)


async def run(waits: Waits, is_stopped: Callable[[], bool], turn: float = 1.0) -> None:
    """Keep a connection until stopped, and open another when Slack asks for it or it breaks."""
    keeping = asyncio.create_task(_keep(waits))
    try:
        while not is_stopped():
            alive.touch()
            done, _pending = await asyncio.wait({keeping}, timeout=turn)
            if done:
                keeping.result()
    finally:
        await _cancel(keeping)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _keep(waits: Waits) -> None:
    failures = 0
    while True:
        tokens, pause = None, _LOOK_AGAIN
        try:
            if (tokens := await _in_database(_tokens)) is not None:
                tokens = replace(tokens, team=await slack.team(tokens.bot))
                await _listen(await slack.socket_address(tokens.app), tokens, waits)
                failures, pause = 0, 0.0
        except ServiceBusy as busy:
            pause = float(busy.seconds)
        except (DomainError, aiohttp.ClientError, OSError, DatabaseError) as problem:
            failures = min(failures + 1, _MOST_DOUBLED)
            pause = 2.0**failures
            logger.warning("slack_socket_failed", extra={"error": type(problem).__name__})
            if tokens is not None and not isinstance(problem, DatabaseError):
                await _in_database(connections.note_error, tokens.connection, f"Socket Mode: {_why(problem)}")
        await asyncio.sleep(pause)


def _why(problem: Exception) -> str:
    return problem.message if isinstance(problem, DomainError) else "The connection failed."


async def _listen(address: str, tokens: Tokens, waits: Waits) -> None:
    """Answer what comes until Slack asks for another connection, or the tokens are other ones."""
    async with (
        egress.client(connections=1) as session,
        session.ws_connect(address, heartbeat=_HEARTBEAT, max_msg_size=_LARGEST) as socket,
    ):
        receiving = asyncio.create_task(socket.receive())
        try:
            while True:
                done, _pending = await asyncio.wait({receiving}, timeout=_LOOK_AGAIN)
                if not done:
                    if await _in_database(_tokens) != tokens:
                        return
                    continue
                message = receiving.result()
                if message.type != aiohttp.WSMsgType.TEXT:
                    raise egress.Unreachable("Slack closed the connection.")
                receiving = asyncio.create_task(socket.receive())
                if not await _answer(socket, _envelope(message.data), tokens, waits):
                    return
        finally:
            await _cancel(receiving)


def _envelope(text: str) -> Mapping[str, Any]:
    try:
        read = strict.loads(text.encode())
    except strict.NotStrictJson as why:
        raise egress.Unreachable("Slack sent something that is not JSON.") from why
    return read if isinstance(read, dict) else {}


async def _answer(
    socket: aiohttp.ClientWebSocketResponse, envelope: Mapping[str, Any], tokens: Tokens, waits: Waits
) -> bool:
    """Acknowledge an envelope, with the answer to a command; return whether the connection goes on."""
    if envelope.get("type") == "disconnect":
        if envelope.get("reason") == "link_disabled":
            raise egress.Unreachable("It is switched off in the app's settings at Slack.")
        return False
    if "envelope_id" not in envelope:
        return True  # "hello"
    payload = envelope.get("payload")
    payload = payload if isinstance(payload, dict) else {}
    ours = bool(tokens.team) and payload.get("team_id") == tokens.team
    acknowledged: dict[str, Any] = {"envelope_id": envelope["envelope_id"]}
    if envelope.get("type") == "slash_commands" and envelope.get("accepts_response_payload"):
        acknowledged["payload"] = await _soon(_told(str(payload.get("user_id", "")) if ours else "", tokens, waits))
    await socket.send_str(json.dumps(acknowledged))
    event = payload.get("event")
    if (
        envelope.get("type") == "events_api"
        and ours
        and isinstance(event, dict)
        and event.get("type") == "app_home_opened"
    ):
        await _show_home(str(event.get("user", "")), tokens, waits)
    return True


async def _soon(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - a coroutine
    """Return an answer, or say where to look when it takes too long or fails."""
    try:
        told: dict[str, Any] = await asyncio.wait_for(answer, ANSWER_SECONDS)
    except (TimeoutError, DomainError, ServiceBusy):
        return messages.line(_("Mandate could not look now. Open your inbox."))
    return told


async def _told(user: str, tokens: Tokens, waits: Waits) -> dict[str, Any]:
    person = await _person(user, tokens)
    if person is None:
        return messages.line(_("No active person in Mandate has the e-mail address of your Slack account."))
    rows = await _in_database(waits, person)
    return messages.waiting_for_slack(rows, names_shown=tokens.connection.names_shown)


async def _show_home(user: str, tokens: Tokens, waits: Waits) -> None:
    with contextlib.suppress(DomainError, ServiceBusy):  # it is filled the next time that it is opened
        told = await _told(user, tokens, waits)
        view = {"type": "home", "blocks": told["blocks"]}
        await slack.call(tokens.bot, "views.publish", {"user_id": user, "view": json.dumps(view)})


async def _person(user: str, tokens: Tokens) -> Person | None:
    """Return the active person of a user of our workspace: as messaged before, else by the address that Slack names."""
    if not user:
        return None
    if (known := await _in_database(_known, tokens.connection, user)) is not None:
        return known if known.is_active else None
    try:
        found = (await slack.call(tokens.bot, "users.info", {"user": user})).get("user") or {}
    except NoAccount:
        return None
    is_ours = found.get("team_id") == tokens.team and not found.get("deleted")
    email = str((found.get("profile") or {}).get("email", "")) if is_ours else ""
    return await _in_database(_with_email, email)


def _known(connection: ChatConnection, user: str) -> Person | None:
    rows = ChatAccount.objects.select_related("person").filter(connection=connection, account=user)
    account = rows.first()
    return account.person if account is not None and account.email == account.person.email else None


def _with_email(email: str) -> Person | None:
    """Return the one active person with an address; None where two have it."""
    people = list(Person.objects.filter(email__iexact=email, is_active=True)[:2]) if email else []
    return people[0] if len(people) == 1 else None


def _tokens() -> Tokens | None:
    connection = ChatConnection.objects.filter(service=ChatConnection.Service.SLACK).first()
    app = connections.app_token(connection) if connection is not None else ""
    return Tokens(connection, connections.token(connection), app) if connection is not None and app else None


async def _in_database[**P, T](act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do something with the database beside the event loop."""

    def done() -> T:
        close_old_connections()
        try:
            return act(*args, **kwargs)
        finally:
            close_old_connections()

    return await sync_to_async(done)()
