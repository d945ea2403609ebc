"""What is written down of an answer: the same text however often it is asked, with a name for each volatile value."""

# ruff: noqa: ANN401 - any JSON

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from entitlements.errors import DomainError
from entitlements.keys import jws

from .lanes import SOURCE, Response
from .scenes import Scene

PROTOCOL: Final = frozenset(
    {"content-type", "cache-control", "pragma", "allow", "www-authenticate", "retry-after", "location", "dpop-nonce"}
)
"""Headers that the protocols speak of, with those of CORS. Others are for browsers, and the same in most answers."""
LIFETIMES: Final = (120, 300)
"""Seconds that our tokens live: at `maps`, and elsewhere."""
NEW_TRACE: Final = "<trace 1>"
_LEFT_OUT: Final = frozenset({"date", "server", "content-length"})
_VOLATILE: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])"
)
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NONCE: Final = re.compile(r" 'nonce-[^']+'")
_DAYS: Final = 2 * 24 * 3600
_TITLE: Final = re.compile(r"<title>\s*(.*?)\s*</title>", re.DOTALL)


@dataclass
class Namer:
    """Replaces what differs from run to run; what it does not know it numbers in the order in which it comes."""

    scene: Scene
    fresh: dict[str, str] = field(default_factory=dict)

    def value(self, value: Any, name: str = "") -> Any:
        """Return any JSON with names for what is volatile in it, in a fixed order. `name` is the member it is of."""
        if isinstance(value, Mapping):
            return {self.text(each): self.value(value[each], each) for each in sorted(value)}
        if isinstance(value, list):
            named = [self.value(each) for each in value]
            return sorted(named) if name == "links" else named  # they came sorted by what has another name now
        if name == "at_hash":
            return "<at_hash>"
        if isinstance(value, str):
            return self.token(value) if _JWT.fullmatch(value) else self.text(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return self.number(value, name)

    def text(self, text: str) -> str:
        """Return a text with the known and the fresh names in it."""
        known = self.scene.known | self.scene.world.known
        if text in known:
            return known[text]
        if text.startswith("-----BEGIN PUBLIC KEY"):
            return "<pem>"
        return _VOLATILE.sub(lambda match: known.get(match[0]) or self._fresh(match[0]), text)

    def number(self, number: float, name: str) -> Any:
        """Return a time by its name, or by about how far it is from now; a lifetime by its range."""
        if name in {"expires_in", "seconds"}:
            return span(number)
        begun, ended = self.scene.asked, self.scene.answered
        if self.scene.now <= number <= ended + 1:
            return "<now>"
        for longest in LIFETIMES:
            if begun + longest * 0.9 - 2 <= number <= ended + longest + 1:
                return f"<now + {longest * 9 // 10}..{longest} s>"
        if (known := (self.scene.times | self.scene.world.times).get(int(number))) is not None:
            return known
        if abs(number - begun) > _DAYS:
            return number
        return f"<now + {span(number - ended)}>" if number > ended else f"<{round((begun - number) / 60)} min ago>"

    def token(self, text: str) -> Any:
        """Return what a JWT says, and whose key signed it."""
        head, claims = (_part(part) for part in text.split(".")[:2])
        if text in self.scene.known or not isinstance(head, dict):
            return self.scene.known.get(text, "<jwt>")
        return {"header": self.value(head), "claims": self.value(claims), "signed": self._signed(text)}

    def _signed(self, text: str) -> str:
        unverified = jws.read(text)
        key = self.scene.world.public.get(unverified.kid or "")
        if key is None:
            return "by an unknown key"
        try:
            jws.check(unverified, key)
        except DomainError:
            return "wrongly"
        return "by its key"

    def _fresh(self, value: str) -> str:
        kind = "uuid" if "-" in value else "trace"
        number = sum(name.startswith(f"<{kind}") for name in self.fresh.values()) + 1
        return self.fresh.setdefault(value, f"<{kind} {number}>")


def span(seconds: float) -> str:
    """Return a lifetime as the range that its jitter may reach (`issue.JITTER`)."""
    for longest in LIFETIMES:
        if longest * 0.9 - 3 <= seconds <= longest + 1:
            return f"{longest * 9 // 10}..{longest} s"
    return f"under {next((top for top in (120, 300, 3600, 43200) if seconds < top), 'days')} s"


def answer(response: Response, left: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    """Return what is recorded of one answer and of what it left behind. Names are given in that order."""
    namer, headers, browser = Namer(scene), {}, {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode().lower(), raw_value.decode()
        if name in PROTOCOL or name.startswith("access-control-"):
            headers[name] = value
        elif name not in _LEFT_OUT:
            browser[name] = _NONCE.sub(" 'nonce'", value)
    if response.status == 429 and headers.get("retry-after", "").isdigit():
        headers["retry-after"] = "<seconds>"
    if "dpop-nonce" in headers:
        headers["dpop-nonce"] = "<nonce>"
    body = _body(response, namer)
    return {
        "status": response.status,
        "headers": dict(sorted(headers.items())),
        "browser": dict(sorted(browser.items())),
        "body": body,
        "left": _short(namer.value(left), body),
    }


def _short(left: dict[str, Any], body: Any) -> dict[str, Any]:
    """Leave out of events and rows what goes without saying: success, one new trace, our source.

    A refusal that says in the audit log what it says to the client is `as answered`.
    """
    if isinstance(body, dict):
        left["events"] = [_as_answered(event, body) for event in left.get("events", ())]
    for row in (*left.get("events", ()), *left.get("issued", ())):
        usual = {"outcome": "success", "source": SOURCE, "trace": NEW_TRACE}
        for name in [name for name, value in usual.items() if row.get(name) == value]:
            del row[name]
    left["claimed"] = [" ".join(map(str, row.values())) for row in left.get("claimed", ())]
    return {name: rows for name, rows in left.items() if rows}


def _as_answered(event: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    said = {
        "outcome": "refused",
        "code": body.get("code"),
        "reason": body.get("error_description"),
        "uuid": body.get("evaluation_id"),
    }
    detail = event.get("detail", {})
    if any(event.get(name) != value for name, value in said.items()) or detail.get("error") != body.get("error"):
        return event
    rest = {name: value for name, value in detail.items() if name != "error" and value != body.get(name)}
    kept = {name: value for name, value in event.items() if name not in {*said, "detail"}}
    return {**kept, **({"detail": rest} if rest else {}), "refusal": "as answered"}


def _body(response: Response, namer: Namer) -> Any:
    kind = dict(response.headers).get(b"Content-Type", dict(response.headers).get(b"content-type", b"")).decode()
    if "json" in kind and response.body:
        body = json.loads(response.body)
        if isinstance(body, dict) and isinstance(token := body.get("access_token"), str) and "." not in token:
            body["access_token"] = f"<{len(token)} characters>"
        return namer.value(body)
    text = response.body.decode(errors="replace")
    if "html" in kind:
        title = _TITLE.search(text)
        return f"<page {title[1] if title else 'without a title'}>" if text else ""
    return namer.text(text[:200])


def _part(part: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return None
