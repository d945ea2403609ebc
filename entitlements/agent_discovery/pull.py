"""Reading lists of a source page by page through the guarded way out, within bounds of pages, rows, bytes and time.

The credential goes to the origin of the source alone: a next page elsewhere is not asked for, and a redirect is not
followed. A list that is not read to its end is not complete; what was read of it counts.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

from audit import clock
from entitlements import strict
from entitlements.errors import DomainError
from entitlements.upstream import egress
from entitlements.upstream.egress import Answer

from . import problems
from .shapes import FoundRow

_LINK: Final = re.compile(r'<([^<>]{1,4000})>\s*((?:;\s*[a-z*]{1,20}\s*=\s*(?:"[^"]{0,200}"|[^\s",;]{1,200})\s*)*)')
_NEXT: Final = re.compile(r';\s*rel\s*=\s*"?next"?(?:\s|;|$)')
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one run reads: pages, rows, bytes of a page, seconds of all, and seconds of waiting for limits."""

    pages: int = 500
    rows: int = 50_000
    page_bytes: int = 4 * 1024 * 1024
    seconds: float = 600.0
    wait: float = 120.0
    request_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class ListSpec:
    """One list of a source: its first page, where a page holds its rows and its next page, and how a row is read."""

    name: str
    url: str
    rows: Callable[[Any], list[Any] | None]
    next_page: Callable[[Answer, Any], str]
    parse: Callable[[object], FoundRow | None]
    cut_off: Callable[[Any], bool] = lambda _body: False


@dataclass(slots=True)
class Listed:
    """What was read of a list: its agents, how many rows are none, and what kept it from its end, if anything."""

    name: str
    found: list[FoundRow] = field(default_factory=list)
    skipped: int = 0
    problem: DomainError | None = None


@dataclass(slots=True)
class Pull:
    """One run's reading of one source. `progress` hears of pages and rows after each page."""

    base: str
    progress: Callable[[int, int], None]
    bounds: Bounds = field(default_factory=Bounds)
    sleep: Callable[[float], None] = time.sleep
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    pages: int = 0
    rows: int = 0
    _waited: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def read(self, spec: ListSpec) -> Listed:
        """Read a list to its end, or to what keeps it from that. Raises nothing of the source's doing."""
        listed = Listed(spec.name)
        try:
            for rows in self._pages(spec):
                parsed = [spec.parse(row) for row in rows]
                listed.found += [row for row in parsed if row is not None]
                listed.skipped += parsed.count(None)
        except DomainError as problem:
            listed.problem = problem
        return listed

    def token(self, url: str, form: Mapping[str, str]) -> str:
        """Ask a token endpoint for an access token (RFC 6749 section 4.4). Raises PullProblem, ForbiddenAddress."""
        answer = self._call("POST", url, urlencode(form).encode(), _FORM)
        if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise problems.Refused
        body = self._body(answer)
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise problems.Unreadable
        return token

    def _pages(self, spec: ListSpec) -> Iterator[list[Any]]:
        url, visited = spec.url, set[str]()
        while url:
            if url in visited:
                raise problems.Loop
            if self.pages >= self.bounds.pages:
                raise problems.TooMuch
            visited.add(url)
            answer = self._call("GET", url, None, {**self.headers, "Accept": "application/json"})
            body = self._body(answer)
            rows = spec.rows(body)
            if rows is None:
                raise problems.Unreadable
            room = self.bounds.rows - self.rows
            self.pages, self.rows = self.pages + 1, self.rows + min(len(rows), room)
            self.progress(self.pages, self.rows)
            yield rows[:room]
            if len(rows) > room:
                raise problems.TooMuch
            if spec.cut_off(body):
                raise problems.Clipped
            url = self._next(spec.next_page(answer, body), url)

    def _next(self, url: str, before: str) -> str:
        """Return the address of the next page, at the origin of the source; empty for none. Raises NextElsewhere."""
        if not url:
            return ""
        joined = urljoin(before, url)
        if origin(joined) != origin(self.base):
            raise problems.NextElsewhere
        return joined

    def _call(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Ask, and wait as the source says where it limits the rate. Raises PullProblem, ForbiddenAddress."""
        while True:
            left = self.bounds.seconds - (time.monotonic() - self._began)
            if left <= 0:
                raise problems.TooMuch
            try:
                seconds, largest = min(left, self.bounds.request_seconds), self.bounds.page_bytes
                answer = asyncio.run(egress.request(method, url, body, headers, largest=largest, seconds=seconds))
            except egress.AnswerTooLarge as why:
                raise problems.PageTooLarge from why
            except egress.Unreachable as why:
                raise problems.Unreachable from why
            if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
                return answer
            self._wait(answer, left)

    def _wait(self, answer: Answer, left: float) -> None:
        seconds = pause(answer, clock.now().timestamp())
        self._waited += seconds
        if self._waited > self.bounds.wait or seconds >= left:
            raise problems.RateLimited
        self.progress(self.pages, self.rows)
        self.sleep(seconds)

    def _body(self, answer: Answer) -> Any:  # noqa: ANN401 - any JSON value
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise problems.Refused
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            raise problems.ListMissing
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise problems.Unreachable
        if answer.status != HTTPStatus.OK:
            raise problems.Unreadable
        try:
            return strict.loads(answer.body, largest=self.bounds.page_bytes)
        except strict.NotStrictJson as why:
            raise problems.Unreadable from why


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address; its user name, if it has one, makes it another's."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return "", "", None
    return parts.scheme, host if parts.username is None and parts.password is None else "", port


def next_link(answer: Answer, _body: object) -> str:
    """Return the address of the link with the relation `next` (RFC 8288), as Okta pages; empty without one.

    https://developer.okta.com/docs/api/#link-header
    """
    return next((url for url, rest in _LINK.findall(answer.link) if _NEXT.search(rest)), "")


def pause(answer: Answer, now: float) -> float:
    """Return for how many seconds an answer 429 asks to wait: `Retry-After`, else until `X-Rate-Limit-Reset`, else 10.

    Entra: https://learn.microsoft.com/graph/throttling. Okta: https://developer.okta.com/docs/reference/
    rl-best-practices/ (the reset is in seconds since 1970).
    """
    if re.fullmatch(r"[0-9]{1,9}", answer.retry_after):
        return max(1.0, float(answer.retry_after))
    if re.fullmatch(r"[0-9]{1,12}", answer.rate_limit_reset):
        return max(1.0, float(answer.rate_limit_reset) - now)
    return 10.0
