"""Why a request got no further, for the answer that says so."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from entitlements import codes
from entitlements.codes import Code

_RETRIED: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


class Refused(Exception):
    """The request is refused with a code; `status` and `jsonrpc` are the code's own unless the message is to blame.

    `retry_after` are the seconds after which asking again may help; None where it does not.
    """

    def __init__(
        self,
        code: Code,
        message: str = "",
        *,
        status: HTTPStatus | None = None,
        jsonrpc: int | None = None,
        data: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        meaning = codes.meaning(code)
        self.code = code
        self.message = message or meaning.sentence
        self.status = status or meaning.status
        self.jsonrpc = jsonrpc or meaning.jsonrpc
        self.data = data or {}
        self.retry_after = 1 if retry_after is None and self.status in _RETRIED else retry_after
        super().__init__(self.message)


class Closed(Refused):
    """Nothing is served, since we cannot know or cannot record: lease, clock, facts or record are missing."""
