"""The API as the client sees it: one exchange at a time, sent again where that is safe, lists followed page by page.

Each POST has an Idempotency-Key, so that sending it again after silence does nothing twice. Redirects are not followed:
a token goes to the address that its owner named.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import Any, BinaryIO, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from .access import ISSUER, Credentials, PersonalToken
from .exits import Ended, Exit, exit_for

WAITS: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds between one attempt and the next."""
LONGEST_WAIT: Final = 30.0
SECONDS: Final = 30.0
MOST_BYTES: Final = 32 * 1024 * 1024
MOST_ROWS: Final = 200
AGAIN: Final = frozenset({429, 502, 503, 504})
"""The statuses of a server that is busy."""


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

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - any JSON
        """Return what is there. Raises Ended."""
        return self._call("GET", _with(path, query or {}), None, {})

    def change(self, method: str, path: str, body: Mapping[str, Any], *, etag: str = "") -> Any:  # noqa: ANN401 - as above
        """Do something once, however often it must be sent, and return what became of it. Raises Ended."""
        self.sent += 1
        key = {"Idempotency-Key": f"{self.key}.{self.sent}"}  # a command that is run again sends the same ones
        return self._call(method, path, body, {**key, **({"If-Match": etag} if etag else {})})

    def rows(self, path: str, query: Mapping[str, Any], *, most: int = 0) -> Iterator[Any]:
        """Yield the rows of a list from all its pages, or the first `most`. Raises Ended."""
        cursor: str | None = ""
        left = most
        while cursor is not None:
            size = min(left, MOST_ROWS) if most else MOST_ROWS
            page = self.get(path, {**query, "limit": str(size), "cursor": cursor})
            yield from page["results"]
            left -= len(page["results"])
            cursor = None if most and left <= 0 else page["next"]

    def download(self, path: str, query: Mapping[str, Any], to: BinaryIO) -> None:
        """Write what is there to a file as it comes in. It is asked for once. Raises Ended."""
        headers = {"Authorization": f"Bearer {self._bearer()}", **self._proof(), "Accept": "*/*"}
        answer = self._once("GET", f"/api/v1/{_with(path, query)}", None, headers, to)
        if (status := exit_for(answer.status)) is not Exit.DONE:
            raise _problem(answer, status)

    def _call(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Any:  # noqa: ANN401 - as above
        answer = self._api(method, path, body, headers)
        if answer.status == HTTPStatus.UNAUTHORIZED and not isinstance(self.credentials, PersonalToken):
            self._token = ""  # it may have ended meanwhile
            answer = self._api(method, path, body, headers)
        if (status := exit_for(answer.status)) is not Exit.DONE:
            raise _problem(answer, status)
        etag = answer.headers.get("ETag")
        return (
            {"etag": etag, **answer.data} if etag else answer.data
        )  # what an edit names as the version it was read in

    def _api(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self._bearer()}", "Content-Type": "application/json", **headers}
        return self._again(method, f"/api/v1/{path}", data, {**sent, **self._proof()})

    def _proof(self) -> dict[str, str]:
        return {"Mandate-Proof": self.proof} if self.proof else {}

    def _bearer(self) -> str:
        if isinstance(self.credentials, PersonalToken):
            return self.credentials.token
        if not self._token:
            form = urlencode(self.credentials.form(self.url)).encode()
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._once("POST", f"{ISSUER}/token", form, kind)  # an assertion is good for one time
            status = exit_for(answer.status)
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
                retry_after = answer.headers.get("Retry-After", "")
                wait = min(float(retry_after), LONGEST_WAIT) if retry_after.isdigit() else usual
            time.sleep(wait)
        return self._once(method, path, data, headers)

    def _once(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], to: BinaryIO | None = None
    ) -> Answer:
        """Send once, and return the answer, or write the body of one that succeeded to a file. Raises Ended."""
        kind = {"Accept": "application/json", "User-Agent": "mandate-cli"}
        # `access.url` lets in http and https alone.
        request = Request(self.url + path, data, {**kind, **headers}, method=method)  # noqa: S310
        try:
            try:
                response = self._opener.open(request, timeout=SECONDS)
            except HTTPError as error:  # an answer as well
                response = error
            with response:
                if to is not None and response.status == HTTPStatus.OK:
                    shutil.copyfileobj(response, to)
                    return Answer(HTTPStatus.OK, response.headers, None)
                return _read(int(response.status), response.headers, response.read(MOST_BYTES + 1))
        except BrokenPipeError:  # the reader of the file has enough
            raise
        except (OSError, http.client.HTTPException) as error:
            sentence = f"{self.url} does not answer ({type(getattr(error, 'reason', error)).__name__})."
            raise Ended(Exit.UNREACHABLE, "unreachable", sentence) from error


def _with(path: str, query: Mapping[str, Any]) -> str:
    texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
    encoded = urlencode({name: value for name, value in texts.items() if value})
    return f"{path}?{encoded}" if encoded else path


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
    sentence = data.get("detail") or data.get("error_description") or f"The server answered {answer.status}."
    facts = {name: data[name] for name in ("status", "facts", "errors", "request_id") if name in data}
    return Ended(status, answer.code or f"http_{answer.status}", str(sentence), facts)
