"""The REST API as a person's script uses it: a personal token, JSON, a fresh Idempotency-Key for every change."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.demo import progress

TIMEOUT_SECONDS = 600.0
"""A console that is slow is waited for; one that has ended closes the connection."""
BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class Answer:
    """What came back: the parsed body, and the raw one for what is not JSON."""

    status: int
    raw: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> Any:  # noqa: ANN401 - any JSON value
        """The parsed body; an empty object where there is none."""
        return json.loads(self.raw or b"{}")

    @property
    def is_success(self) -> bool:
        """Whether the API did it."""
        return self.status < 300  # noqa: PLR2004 - the statuses of success

    def __str__(self) -> str:
        return f"{self.status} {self.raw.decode(errors='replace')[:600]}"


@dataclass(frozen=True)
class Api:
    """One person at the API of one console; every request belongs to the trace, and carries the proof, if any."""

    console: str
    token: str
    trace: str = ""
    proof: str = ""

    def get(self, path: str) -> Answer:
        """Read an address under /api/v1."""
        return self._send("GET", path, None, {})

    def post(self, path: str, body: Mapping[str, Any], *, etag: str = "") -> Answer:
        """Change something; `etag` is what it was seen as."""
        headers = {"Idempotency-Key": secrets.token_hex(16), **({"If-Match": etag} if etag else {})}
        return self._send("POST", path, body, headers)

    def put(self, path: str, body: Mapping[str, Any], *, etag: str = "") -> Answer:
        """Set something; `etag` as above."""
        return self._send("PUT", path, body, {"If-Match": etag} if etag else {})

    def every(self, path: str) -> list[dict[str, Any]]:
        """Read a whole list, page by page. Raises RuntimeError when a page is refused."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            joint = "&" if "?" in path else "?"
            page = self.get(f"{path}{joint}cursor={cursor}" if cursor else path)
            if not page.is_success:
                raise RuntimeError(f"GET {path} was answered {page}")
            rows += page.body["results"]
            if not (cursor := page.body["next"]):
                return rows

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> Answer:
        sent = {"Authorization": f"Bearer {self.token}", "Accept": "*/*", **headers}
        if self.proof:
            sent["Mandate-Proof"] = self.proof
        if self.trace:
            sent["traceparent"] = f"00-{self.trace}-{secrets.token_hex(8)}-01"
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.console}/api/v1/{path}", data, sent, method=method)  # noqa: S310

        def answered() -> Answer | None:
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own console
                    return Answer(answer.status, answer.read(), dict(answer.headers.items()))
            except urllib.error.HTTPError as refusal:
                with refusal:
                    if refusal.code in BUSY:
                        return None
                    return Answer(refusal.code, refusal.read(), dict(refusal.headers.items()))

        return progress.wait(f"the console to answer {method} {path}", answered)
