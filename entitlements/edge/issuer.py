"""The role `issuer`: which address leads to which endpoint. The parts are compared, not patterns."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Mapping
from typing import Final

from entitlements import addresses
from entitlements.backlog import Busy
from entitlements.gateway.http import Answer
from entitlements.gateway.origins import cors
from entitlements.node.refusals import Closed

from . import door, introspection, metadata, registration, revocation, token
from .door import Endpoint, Received
from .metadata import Document
from .outside import Outside
from .rotation import rotation
from .signals import receiver

LARGEST_BODY: Final = 128 * 1024
"""Bytes of a body that is read at all; the form says what is too large."""
_SLUG: Final = re.compile(r"[-a-zA-Z0-9_]+")
_WELL_KNOWN: Final = "/.well-known/"
_METADATA: Final = ("oauth-authorization-server/idp", "openid-configuration/idp")
_SYSTEM_METADATA: Final = "oauth-authorization-server/as/"
_TOKEN: Final = "token"  # noqa: S105 - a name
_IDP: Final[Mapping[str, Endpoint]] = {
    _TOKEN: token.idp_token,
    "introspect": introspection.idp_introspect,
    "revoke": revocation.idp,
    "rotate": rotation.rotate,
}
_SYSTEM: Final[Mapping[str, Endpoint]] = {
    _TOKEN: token.system_token,
    "introspect": introspection.system_introspect,
    "revoke": revocation.system,
}
_REGISTER: Final = "register"
_FROM_BROWSERS: Final = frozenset({_TOKEN, "revoke", _REGISTER})


def document(path: str) -> Document | None:
    """Return what is published at an address; None where nothing is."""
    if path in (*(_WELL_KNOWN + name for name in _METADATA), f"/idp{_WELL_KNOWN}openid-configuration"):
        return metadata.idp
    if path.startswith(_WELL_KNOWN + _SYSTEM_METADATA):
        slug = path.removeprefix(_WELL_KNOWN + _SYSTEM_METADATA)
        return functools.partial(metadata.system, system=slug) if _SLUG.fullmatch(slug) else None
    issuer, slug, name = parts(path)
    if name != "jwks.json":
        return None
    return metadata.idp_keys if issuer == addresses.IDP else functools.partial(metadata.system_keys, system=slug)


def parts(path: str) -> tuple[str, str, str]:
    """Take `/idp/<name>` and `/as/<system>/<name>` apart: issuer, system, name; three empty texts for another."""
    match path.split("/"):
        case ["", "idp", name]:
            return addresses.IDP, "", name
        case ["", "as", slug, name] if _SLUG.fullmatch(slug):
            return "as", slug, name
    return "", "", ""


def serves(path: str) -> bool:
    """Say whether this role answers at an address."""
    if path == receiver.PATH:
        return True
    issuer, _, name = parts(path)
    if name == _REGISTER:
        return registration.is_on()
    return name in (_IDP if issuer == addresses.IDP else _SYSTEM if issuer else ()) or document(path) is not None


def page(path: str) -> str | None:
    """Return where a browser finds the page that was asked for here; None for what is no page of a system's issuer."""
    issuer, slug, name = parts(path)
    return addresses.sign_in_page(slug) if issuer == "as" and name == "authorize" else None


async def answer(outside: Outside, received: Received) -> Answer:
    """Answer a request at an address that this role serves."""
    if received.path == receiver.PATH:
        return await receiver.answer(outside, received)
    if (found := document(received.path)) is not None:
        try:
            outside.position()  # without a lease nothing that is kept may be shown
            return await metadata.answer(received.method, found, outside.reads())
        except Closed as error:
            return door.unavailable(error)
    issuer, slug, name = parts(received.path)
    is_from_browsers = name in _FROM_BROWSERS
    if is_from_browsers and received.method == "OPTIONS":
        return cors.preflight(b"POST")
    if name == _REGISTER:
        answered = await registration.answer(outside, received, slug)
    else:
        endpoint = _IDP[name] if issuer == addresses.IDP else functools.partial(_SYSTEM[name], system=slug)
        answered = await _in_turn(outside, received, name, endpoint)
    if not is_from_browsers:
        return answered
    return Answer(answered.status, answered.body, (*answered.headers, *cors.ANY_ORIGIN))


async def _in_turn(outside: Outside, received: Received, name: str, endpoint: Endpoint) -> Answer:
    """Answer a request for a token in its turn, before anything is read for it; what ends a token does not wait."""
    turn = outside.turn() if name == _TOKEN else contextlib.nullcontext()
    try:
        async with turn:
            return await door.serve(outside, received, endpoint)
    except Busy as error:  # RFC 6749 has the word for it, though only at its other endpoint
        return await door.turned_away(outside, error, received.source, "temporarily_unavailable")
