"""The API as the client sees it: one exchange at a time, sent again where that is safe, lists followed page by page.

Each POST has an Idempotency-Key, so that sending it again after silence does nothing twice. Redirects are not followed:
a token goes to the address that its owner named.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from .access import ISSUER, Credentials, PersonalToken
from .exits import Ended, Exit, of

WAITS: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds between one attempt and the next."""
LONGEST_WAIT: Final = 30.0
SECONDS: Final = 30.0
MOST_BYTES: Final = 32 * 1024 * 1024
MOST_ROWS: Final = 200
AGAIN: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - the library's signature
        return None


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    data: Any

    @property
    def code(self) -> str:
        """The stable word of a problem; empty where there is none."""
        return str(self.data.get("code") or self.data.get("error") or "") if isinstance(self.data, dict) else ""


@dataclass
class Server:
    """One Mandate, and as whom we speak to it. `key` names the command's changes; `sent` says how many there were.

    `proof` goes with each, for what asks for one.
    """

    url: str
    credentials: Credentials
    key: str
    proof: str = ""
    sent: int = 0
    _opener: OpenerDirector = field(default_factory=lambda: build_opener(_Stay()))
    _token: str = ""

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - any JSON
        """Return what is there. Raises Ended."""
        asked = urlencode({name: value for name, value in query.items() if value})
        return self._call("GET", f"{path}?{asked}" if asked else path, None, {})

    def post(self, path: str, body: Mapping[str, Any], *, etag: str = "") -> Any:  # noqa: ANN401 - as above
        """Do something once, however often it must be sent, and return what became of it. Raises Ended."""
        self.sent += 1
        key = {"Idempotency-Key": f"{self.key}.{self.sent}"}  # a command that is run again sends the same ones
        return self._call("POST", path, body, {**key, **({"If-Match": etag} if etag else {})})

    def rows(self, path: str, *, most: int = 0, **query: str) -> Iterator[Any]:
        """Yield the rows of a list from all its pages, or the first `most`. Raises Ended."""
        cursor: str | None = ""
        left = most
        while cursor is not None:
            size = min(left, MOST_ROWS) if most else MOST_ROWS
            page = self.get(path, **query, limit=str(size), cursor=cursor)
            yield from page["results"]
            left -= len(page["results"])
            cursor = None if most and left <= 0 else page["next"]

    def _call(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Any:  # noqa: ANN401 - as above
        answer = self._api(method, path, body, headers)
        if answer.status == HTTPStatus.UNAUTHORIZED and not isinstance(self.credentials, PersonalToken):
            self._token = ""  # it may have ended meanwhile
            answer = self._api(method, path, body, headers)
        if (status := of(answer.status)) is not Exit.DONE:
            raise _problem(answer, status)
        return answer.data

    def _api(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self._bearer()}", "Content-Type": "application/json", **headers}
        if self.proof:
            sent["Mandate-Proof"] = self.proof
        return self._again(method, f"/api/v1/{path}", data, sent)

    def _bearer(self) -> str:
        if isinstance(self.credentials, PersonalToken):
            return self.credentials.token
        if not self._token:
            form = urlencode(self.credentials.form(self.url)).encode()
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._once("POST", f"{ISSUER}/token", form, kind)  # an assertion is good for one time
            status = of(answer.status)
            if status is not Exit.DONE:
                raise _problem(answer, Exit.UNAUTHENTICATED if status is Exit.REFUSED else status)
            self._token = str(answer.data["access_token"])
        return self._token

    def _again(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send, and send again while nothing or nothing final comes back."""
        for usual in WAITS:
            wait = usual
            with contextlib.suppress(Ended):
                answer = self._once(method, path, data, headers)
                if answer.status not in AGAIN and answer.code != "idempotency_in_flight":
                    return answer
                asked = answer.headers.get("Retry-After", "")
                wait = min(float(asked), LONGEST_WAIT) if asked.isdigit() else usual
            time.sleep(wait)
        return self._once(method, path, data, headers)

    def _once(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Answer:
        kind = {"Accept": "application/json", "User-Agent": "mandate-cli"}
        # `access.url` lets in http and https alone.
        request = Request(self.url + path, data, {**kind, **headers}, method=method)  # noqa: S310
        try:
            try:
                response = self._opener.open(request, timeout=SECONDS)
            except HTTPError as error:  # an answer as well
                response = error
            with response:
                return _read(int(response.status), response.headers, response.read(MOST_BYTES + 1))
        except (OSError, http.client.HTTPException) as error:
            said = f"{self.url} does not answer ({type(getattr(error, 'reason', error)).__name__})."
            raise Ended(Exit.UNREACHABLE, "unreachable", said) from error


def _read(status: int, headers: Message, body: bytes) -> Answer:
    try:
        data = json.loads(body[:MOST_BYTES]) if body else None
    except ValueError:
        data = None
    if len(body) > MOST_BYTES or not isinstance(data, dict):
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Ended(Exit.UNREACHABLE, "answer_malformed", "What answered there is not the API of Mandate.")
        data = {}
    return Answer(status, headers, data)


def _problem(answer: Answer, status: Exit) -> Ended:
    data = answer.data
    said = data.get("detail") or data.get("error_description") or f"It answered {answer.status}."
    facts = {name: data[name] for name in ("status", "facts", "errors", "request_id") if name in data}
    return Ended(status, answer.code or f"http_{answer.status}", str(said), facts)
