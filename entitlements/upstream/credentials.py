"""Requests with a system's credential, and once more with the one before while the two overlap."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from entitlements.secrets.vault import Credential

from .egress import Unreachable
from .endpoint import Answer

type Headers = Mapping[str, str]
type Take[T] = Callable[[Answer], Awaitable[T]]


class _CredentialRefused(Exception):
    """The upstream does not know the newest credential, or no longer."""


async def sent[T](
    credential: Credential | None, headers: Headers, take: Take[T], send: Callable[[Headers, Take[T]], Awaitable[T]]
) -> T:
    """Send headers that hold the credential; if it is refused and the one before still counts, send that one.

    401 says that the request was not carried out (RFC 9110 section 15.5.2). Raises Unreachable for one too old, and
    whatever `send` raises.
    """
    if credential is not None and credential.is_too_old:
        raise Unreachable("The secret of the system is older than the policy allows. Its owner replaces it.")
    fallback = None if credential is None else credential.fallback
    if credential is None or fallback is None:
        return await send(headers, take)

    async def take_unless_refused(answer: Answer) -> T:
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise _CredentialRefused
        return await take(answer)

    try:
        return await send(headers, take_unless_refused)
    except _CredentialRefused:
        others = {name: value for name, value in headers.items() if name != credential.header}
        return await send({**others, fallback.header: fallback.value}, take)
