"""Slack's Web API (https://docs.slack.dev/reference/methods): the methods that Mandate calls.

Each call goes out through `entitlements.upstream.egress`, to the host of SLACK_API_URL alone, with the token in the
Authorization header. Slack answers 200 with `"ok": false` and an error's code, or 429 with Retry-After.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings

from entitlements import strict
from entitlements.upstream import egress

from .refusals import ChatRefused, NoAccount, ServiceBusy

SECONDS: Final = 15.0
_LARGEST: Final = 256 * 1024
_NO_ACCOUNT: Final = frozenset({"users_not_found", "user_not_found", "user_not_visible", "channel_not_found"})
_WAIT: Final = 30
"""Seconds to wait where a 429 does not say how long."""
LONGEST_WAIT: Final = 3600


def workspace(bot_token: str) -> str:
    """Return the name of the workspace of a bot's token (auth.test). Raises as `call`."""
    return str(_call(bot_token, "auth.test").get("team") or "Slack")[:200]


async def team(bot_token: str) -> str:
    """Return the identifier of the workspace of a bot's token (auth.test). Raises as `call`."""
    return str((await call(bot_token, "auth.test")).get("team_id") or "")


def account(bot_token: str, email: str) -> str:
    """Return the id of the user who has an e-mail address (users.lookupByEmail). Raises NoAccount, and as `call`."""
    user = _call(bot_token, "users.lookupByEmail", {"email": email}).get("user") or {}
    if not user.get("id") or user.get("deleted"):
        raise NoAccount
    return str(user["id"])


def post(bot_token: str, user: str, message: Mapping[str, Any]) -> None:
    """Send a message to the conversation of the app with a user (chat.postMessage). Raises NoAccount, as `call`."""
    body = {"channel": user, "unfurl_links": False, "unfurl_media": False, **message}
    _call(bot_token, "chat.postMessage", {**body, "blocks": json.dumps(message["blocks"])})


def check_app_token(app_token: str) -> None:
    """Open a connection that is never used, to see that an app-level token is one. Raises as `call`."""
    asyncio.run(socket_address(app_token))


async def socket_address(app_token: str) -> str:
    """Return an address for Socket Mode, good for one connection (apps.connections.open). Raises as `call`."""
    address = str((await call(app_token, "apps.connections.open")).get("url", ""))
    host, ours = urlsplit(address).hostname or "", urlsplit(settings.SLACK_API_URL).hostname or "-"
    if host != ours and not host.endswith(f".{ours}"):
        raise egress.ForbiddenAddress("Slack named a host of another domain for Socket Mode.")
    egress.check_url("http" + address.removeprefix("ws"))  # ws and wss are http and https to the guard
    return address


def _call(token: str, method: str, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return asyncio.run(call(token, method, fields))


async def call(token: str, method: str, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Call a method and return its answer.

    Raises ChatRefused with Slack's error code, NoAccount, ServiceBusy, egress.Unreachable and egress.ForbiddenAddress.
    """
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    url, body = settings.SLACK_API_URL + method, urlencode(_texts(fields or {})).encode()
    answer = await egress.request("POST", url, body, headers, largest=_LARGEST, seconds=SECONDS)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise ServiceBusy(seconds_of(answer.retry_after))
    if answer.status != HTTPStatus.OK:
        raise egress.Unreachable(f"Slack answered {answer.status}.")
    try:
        read = strict.loads(answer.body)
    except strict.NotStrictJson as why:
        raise egress.Unreachable("Slack's answer is not JSON.") from why
    if not isinstance(read, dict) or read.get("ok") is not True:
        error = str(read.get("error", "no answer"))[:100] if isinstance(read, dict) else "no answer"
        if error == "ratelimited":
            raise ServiceBusy(seconds_of(answer.retry_after))
        if error in _NO_ACCOUNT:
            raise NoAccount
        raise ChatRefused(error)
    return read


def _texts(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in fields.items()}


def seconds_of(retry_after: str) -> int:
    """Return the seconds of a Retry-After header, within an hour."""
    seconds = int(retry_after) if retry_after.isascii() and retry_after.isdecimal() else _WAIT
    return max(1, min(seconds, LONGEST_WAIT))
