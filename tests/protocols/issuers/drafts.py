"""A request that is being written, and the changes that a case makes to it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from entitlements.edge import client_authentication

from .lanes import Request
from .scenes import Jwt, Scene

type Value = str | bytes | Callable[[Scene], str]
type Change = Callable[[Draft], None]

FORM = "application/x-www-form-urlencoded"


@dataclass
class Draft:
    """One request as far as it is written; values of the form that are functions are asked last."""

    scene: Scene
    path: str
    method: str = "POST"
    query: str = ""
    form: list[tuple[str, Value]] = field(default_factory=list)
    headers: list[tuple[str, Value]] = field(default_factory=lambda: [("Content-Type", FORM)])
    body: bytes | Callable[[bytes], bytes] | None = None
    host: str = "localhost:8000"

    def request(self) -> Request:
        """Write it out, as the bytes that every lane gets."""
        self.scene.path = self.path
        written = b"&".join(_pair(name, self._value(value)) for name, value in self.form)
        body = written if self.body is None else self.body(written) if callable(self.body) else self.body
        headers: list[tuple[str, Value]] = [("Host", self.host), *self.headers]
        if body or self.method not in {"GET", "HEAD", "OPTIONS"}:
            headers.append(("Content-Length", str(len(body))))
        raw = tuple((name.encode(), _raw(self._value(value))) for name, value in headers)
        target = self.path + (f"?{self.query}" if self.query else "")
        return Request(self.method, target.encode(), raw, body)

    def _value(self, value: Value) -> str | bytes:
        return value(self.scene) if callable(value) else value


def _pair(name: str, value: str | bytes) -> bytes:
    """Write one parameter; bytes stand as they are."""
    return quote_plus(name, safe="[]").encode() + b"=" + (value if isinstance(value, bytes) else _quoted(value))


def _raw(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _quoted(value: str) -> bytes:
    return quote_plus(value).encode()


def put(name: str, value: Value) -> Change:
    """Set a parameter in its place, or add it."""

    def change(draft: Draft) -> None:
        if any(each == name for each, _ in draft.form):
            draft.form = [(each, value if each == name else old) for each, old in draft.form]
        else:
            draft.form.append((name, value))

    return change


def drop(*names: str) -> Change:
    """Leave parameters out."""

    def change(draft: Draft) -> None:
        draft.form = [(name, value) for name, value in draft.form if name not in names]

    return change


def again(name: str, value: Value | None = None) -> Change:
    """Send a parameter a second time, by default with the same value."""

    def change(draft: Draft) -> None:
        old = dict(draft.form).get(name, "x")
        if value is None and callable(old):
            scene = draft.scene
            scene.path = draft.path
            same = old(scene)
            draft.form = [(each, same if each == name else kept) for each, kept in draft.form]
            old = same
        draft.form.append((name, old if value is None else value))

    return change


def renamed(name: str, other: str) -> Change:
    """Send a parameter under another name."""

    def change(draft: Draft) -> None:
        draft.form = [(other if each == name else each, value) for each, value in draft.form]

    return change


def header(name: str, value: str | Callable[[Scene], str]) -> Change:
    """Send a header; the same name again is sent again."""
    return lambda draft: draft.headers.append((name, value))


def content_type(value: str | None) -> Change:
    """Send another content type, or none."""

    def change(draft: Draft) -> None:
        draft.headers = [each for each in draft.headers if each[0] != "Content-Type"]
        if value is not None:
            draft.headers.append(("Content-Type", value))

    return change


def method(name: str) -> Change:
    """Use another method."""
    return lambda draft: setattr(draft, "method", name)


def path(value: str | Callable[[str], str]) -> Change:
    """Ask at another address."""
    return lambda draft: setattr(draft, "path", value(draft.path) if callable(value) else value)


def query(value: str) -> Change:
    """Add a query to the address."""
    return lambda draft: setattr(draft, "query", value)


def host(value: str) -> Change:
    """Ask under another name."""
    return lambda draft: setattr(draft, "host", value)


def body(value: bytes | Callable[[bytes], bytes]) -> Change:
    """Send another body, made of the written one if it is a function."""
    return lambda draft: setattr(draft, "body", value)


def both(*changes: Change) -> Change:
    """Make several changes."""

    def change(draft: Draft) -> None:
        for each in changes:
            each(draft)

    return change


def nothing(_draft: Draft) -> None:
    """Change nothing."""


def no_credentials(draft: Draft) -> None:
    """Take away whatever authenticates the client."""
    drop("client_id", "client_secret", "client_assertion", "client_assertion_type")(draft)
    draft.headers = [each for each in draft.headers if each[0] != "Authorization"]


def by_key(client: str = "key-client", make: Callable[[Scene], str] | None = None) -> Change:
    """Authenticate by a signed assertion."""

    def change(draft: Draft) -> None:
        no_credentials(draft)
        draft.scene.client = client
        draft.form.append(("client_assertion_type", client_authentication.ASSERTION_TYPE))
        draft.form.append(("client_assertion", make or (lambda scene: scene.assertion(client).text())))

    return change


def by_jwt(make: Callable[[Scene], Jwt], client: str = "key-client") -> Change:
    """Authenticate by an assertion that a case describes."""
    return by_key(client, lambda scene: make(scene).text())


def basic(client: str, secret: str) -> str:
    """Return the value of an Authorization header (RFC 6749 section 2.3.1)."""
    plain = f"{quote_plus(client)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(plain.encode()).decode()


def by_basic(client: str = "secret-client", secret: str | None = None) -> Change:
    """Authenticate by a secret in the header."""

    def change(draft: Draft) -> None:
        no_credentials(draft)
        draft.scene.client = client
        known = draft.scene.world.secrets.get(client, "")
        draft.headers.append(("Authorization", basic(client, known if secret is None else secret)))

    return change


def by_post(client: str = "secret-client", secret: str | None = None) -> Change:
    """Authenticate by a secret in the form."""

    def change(draft: Draft) -> None:
        no_credentials(draft)
        draft.scene.client = client
        known = draft.scene.world.secrets.get(client, "")
        draft.form += [("client_id", client), ("client_secret", known if secret is None else secret)]

    return change


def by_name(client: str = "public-client") -> Change:
    """Authenticate by nothing but a name."""

    def change(draft: Draft) -> None:
        no_credentials(draft)
        draft.scene.client = client
        draft.form.append(("client_id", client))

    return change
