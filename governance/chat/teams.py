"""Microsoft Teams: proactive messages of a bot to one person, by the Bot Framework's REST API, without a way in.

A token by the client's credentials, the person's object id by Microsoft Graph, a conversation with that id, and an
activity in it (https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/send-proactive-messages).
Teams opens the conversation only where the app is installed for the person. Requests go to the hosts of TEAMS_CLOUD.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from django.conf import settings

from entitlements import strict
from entitlements.upstream import egress

from .refusals import ChatRefused, NoAccount, ServiceBusy
from .slack import SECONDS, seconds_of

_LARGEST: Final = 256 * 1024
_NOT_FOR_THEM: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Credentials:
    """The app registration of a bot, its tenant, and a client secret."""

    app_id: str
    tenant: str
    secret: str = field(repr=False)


def check(who: Credentials) -> None:
    """See that the bot gets its tokens and may look people up. Raises as `_call`."""
    _token(who, settings.TEAMS.scope)
    _users(who, "$top=1&$select=id")


def account(who: Credentials, email: str) -> str:
    """Return the object id of the one user with an e-mail address or sign-in name. Raises NoAccount, and as `_call`."""
    text = email.replace("'", "''")
    wanted = quote(f"mail eq '{text}' or userPrincipalName eq '{text}'", safe="")
    users = [user for user in _users(who, f"$filter={wanted}&$select=id,accountEnabled") if isinstance(user, dict)]
    found = [str(user["id"]) for user in users if user.get("id") and user.get("accountEnabled") is not False]
    if len(found) != 1:
        raise NoAccount
    return found[0]


def post(who: Credentials, user: str, activity: Mapping[str, Any]) -> None:
    """Send an activity to the conversation of the bot with a user. Raises NoAccount, and as `_call`."""
    headers = _json_headers(_token(who, settings.TEAMS.scope))
    conversations = f"{settings.TEAMS.service}/v3/conversations"
    begun = {
        "isGroup": False,
        "bot": {"id": f"28:{who.app_id}"},
        "members": [{"id": user}],
        "tenantId": who.tenant,
        "channelData": {"tenant": {"id": who.tenant}},
    }
    try:
        opened = _call("POST", conversations, json.dumps(begun).encode(), headers)
    except _Refused as refused:
        if refused.answered in _NOT_FOR_THEM:
            raise NoAccount("The app is not installed for this person in Microsoft Teams.") from refused
        raise
    address = f"{conversations}/{quote(str(opened.get('id', '')), safe='')}/activities"
    _call("POST", address, json.dumps(activity).encode(), headers)


def _users(who: Credentials, query: str) -> list[Any]:
    token = _token(who, f"{settings.TEAMS.graph}/.default")
    found = _call("GET", f"{settings.TEAMS.graph}/v1.0/users?{query}", None, _json_headers(token)).get("value")
    return found if isinstance(found, list) else []


def _token(who: Credentials, scope: str) -> str:
    fields = {"grant_type": "client_credentials", "client_id": who.app_id, "client_secret": who.secret, "scope": scope}
    url = f"{settings.TEAMS.login}/{quote(who.tenant, safe='')}/oauth2/v2.0/token"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return str(_call("POST", url, urlencode(fields).encode(), headers).get("access_token", ""))


def _json_headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


class _Refused(ChatRefused):
    """A refusal with its HTTP status."""

    def __init__(self, answered: int, answer: str) -> None:
        super().__init__(f"{answered} {answer}".strip())
        self.answered = answered


def _call(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
    """Call an address and return its answer.

    Raises ChatRefused with the service's error code, ServiceBusy, egress.Unreachable and egress.ForbiddenAddress.
    """
    answer = asyncio.run(egress.request(method, url, body, headers, largest=_LARGEST, seconds=SECONDS))
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise ServiceBusy(seconds_of(answer.retry_after))
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise egress.Unreachable(f"Microsoft answered {answer.status}.")
    try:
        read = strict.loads(answer.body) if answer.body else {}
    except strict.NotStrictJson:
        read = {}
    read = read if isinstance(read, dict) else {}
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise _Refused(answer.status, _code(read))
    return read


def _code(answer: Mapping[str, Any]) -> str:
    """Return the code of an error: `error` itself (OAuth 2.0), or `error.code` (Graph, Bot Framework)."""
    error = answer.get("error", "")
    return str(error.get("code", "") if isinstance(error, dict) else error)[:100]
