"""The transmitter's addresses (Shared Signals Framework 1.0): its configuration, and what receivers do with streams.

Machines speak to them: with a bearer token in the header alone, in JSON, without a trailing slash. Every answer that is
about a stream is `no-store`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from audit import context
from audit.refusals import refusals
from entitlements import addresses, ratelimits, strict
from entitlements.errors import DomainError
from entitlements.keys import signing
from entitlements.strict import known_uuid

from . import access_tokens, errors, polled, streams
from .access_tokens import MANAGE, READ
from .models import EventReceiver

_LARGEST: Final = 64 * 1024
_KEPT: Final = f"public, max-age={signing.JWKS_SECONDS}"
_OAUTH: Final = {
    "event_receiver_refused": "invalid_client",
    "event_receiver_bad_scope": "invalid_scope",
    "event_stream_token_refused": "invalid_token",
    "event_stream_scope_missing": "insufficient_scope",
    "rate_limited": "slow_down",
}
"""The words of OAuth (RFC 6749 section 5.2, RFC 6750 section 3.1) for our codes."""

type View = Callable[..., HttpResponse]


def _address(path: str) -> str:
    return f"{addresses.issuer(addresses.SIGNALS)}/{path}"


def _configuration() -> dict[str, Any]:
    return {
        "spec_version": "1_0",
        "issuer": addresses.issuer(addresses.SIGNALS),
        "jwks_uri": _address("jwks.json"),
        "delivery_methods_supported": [streams.PUSH, streams.POLL],
        "configuration_endpoint": _address("streams"),
        "status_endpoint": _address("status"),
        "verification_endpoint": _address("verify"),
        "critical_subject_members": ["session"],
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
        "default_subjects": "ALL",
    }


def _authorization_server() -> dict[str, Any]:
    return {
        "issuer": addresses.issuer(addresses.SIGNALS),
        "token_endpoint": _address("token"),
        "jwks_uri": _address("jwks.json"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": [*access_tokens.SCOPES],
    }


def _protected_resource() -> dict[str, Any]:
    return {
        "resource": addresses.issuer(addresses.SIGNALS),
        "authorization_servers": [addresses.issuer(addresses.SIGNALS)],
        "scopes_supported": [*access_tokens.SCOPES],
        "bearer_methods_supported": ["header"],
    }


def _document(make: Callable[[], dict[str, Any]]) -> View:
    """Publish a document: anybody may read it."""

    def view(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return _answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "invalid_request"}, Allow="GET, HEAD")
        made = make()
        return _answer(HTTPStatus.OK, made, cache="no-store" if made.get("keys") == [] else _KEPT)

    return csrf_exempt(login_not_required(view))


configuration: Final = _document(_configuration)
authorization_server: Final = _document(_authorization_server)
protected_resource: Final = _document(_protected_resource)


jwks: Final = _document(lambda: signing.jwks(addresses.SIGNALS))


def _machine(*methods: str) -> Callable[[View], View]:
    """Answer these methods alone, and what is refused in JSON, with its stable code."""

    def door(view: View) -> View:
        @wraps(view)
        def enter(request: HttpRequest, **named: Any) -> HttpResponse:  # noqa: ANN401 - parts of the address
            if request.method not in methods:
                return _answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "invalid_request"}, Allow=", ".join(methods))
            try:
                return view(request, **named)
            except DomainError as error:
                return _refused(error)
            except Error:
                later = {"error": "temporarily_unavailable", "code": "record_unavailable"}
                return _answer(HTTPStatus.SERVICE_UNAVAILABLE, later, **{"Retry-After": "5"})

        return csrf_exempt(login_not_required(enter))

    return door


def _refused(error: DomainError) -> HttpResponse:
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        refusals.count_stranger(error.code, context.current().source)
    word = _OAUTH.get(error.code, "invalid_request")
    headers: dict[str, str] = {}
    if isinstance(error, access_tokens.BadAccessToken | access_tokens.ScopeMissing):
        prm = addresses.issuer(addresses.SIGNALS).replace("/ssf", "/.well-known/oauth-protected-resource/ssf")
        headers["WWW-Authenticate"] = f'Bearer error="{word}", resource_metadata="{prm}"'
    elif isinstance(error, access_tokens.BadClient):
        headers["WWW-Authenticate"] = 'Basic realm="mandate"'
    if isinstance(error, ratelimits.TooMany):
        headers["Retry-After"] = str(error.wait)
    body = {"error": word, "error_description": error.message, "code": error.code}
    return _answer(error.status, body, **headers)


def _answer(
    status: int, body: Mapping[str, Any] | list[Any] | None, cache: str = "no-store", **more: str
) -> HttpResponse:
    headers = {"Cache-Control": cache, **more}
    if body is None:
        answer = HttpResponse(status=status, headers=headers)
        del answer["Content-Type"]
        return answer
    return HttpResponse(json.dumps(body), status=status, content_type="application/json", headers=headers)


@_machine("POST")
def token(request: HttpRequest) -> HttpResponse:
    """Give a receiver a short-lived access token for its client credentials."""
    if request.POST.get("grant_type") != "client_credentials" or len(request.body) > _LARGEST:
        refused = {"error": "unsupported_grant_type", "code": "unsupported_grant_type"}
        return _answer(HTTPStatus.BAD_REQUEST, refused)
    client_id, secret = _client(request)
    ratelimits.check(ratelimits.TOKENS, f"event-receiver:{client_id[:64]}")
    given = access_tokens.issue(client_id, secret, request.POST.get("scope", ""))
    body: dict[str, Any] = {
        "access_token": given.token,
        "token_type": "Bearer",
        "expires_in": access_tokens.LASTS,
        "scope": given.scope,
    }
    return _answer(HTTPStatus.OK, body, Pragma="no-cache")


def _client(request: HttpRequest) -> tuple[str, str]:
    """Return client and secret (RFC 6749 section 2.3.1). Raises BadClient."""
    scheme, _space, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return request.POST.get("client_id", ""), request.POST.get("client_secret", "")
    try:
        name, _colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise access_tokens.BadClient from error
    return unquote_plus(name), unquote_plus(secret)


def _receiver(request: HttpRequest, *scopes: str) -> EventReceiver:
    found = access_tokens.receiver(request.headers.get("Authorization", ""), scopes)
    ratelimits.check(ratelimits.API, f"event-receiver:{found.pk}")
    return found


def _body(request: HttpRequest) -> dict[str, Any]:
    """Read a JSON object. Raises BadStream."""
    try:
        body = strict.loads(request.body, largest=_LARGEST)
    except strict.NotStrictJson as error:
        raise errors.BadStream("The body is no JSON.") from error
    if not isinstance(body, dict):
        raise errors.BadStream("The body is no object.")
    return body


def _key(body: Mapping[str, Any]) -> UUID | None:
    named = body.get("stream_id")
    if not isinstance(named, str):
        raise errors.BadStream("stream_id is missing.")
    return known_uuid(named)


@_machine("GET", "POST", "PATCH", "PUT", "DELETE")
def configure(request: HttpRequest) -> HttpResponse:
    """Create, read, update, replace and delete streams (section 8.1.1)."""
    if request.method == "GET":
        receiver = _receiver(request, READ, MANAGE)
        if "stream_id" in request.GET:
            shown = streams.shown_to(streams.of(receiver, known_uuid(request.GET["stream_id"])))
            return _answer(HTTPStatus.OK, shown)
        rows = receiver.streams.select_related("receiver").order_by("created_at", "pk")
        return _answer(HTTPStatus.OK, [streams.shown_to(row) for row in rows])
    receiver = _receiver(request, MANAGE)
    if request.method == "DELETE":
        streams.delete(receiver, known_uuid(request.GET.get("stream_id", "")))
        return _answer(HTTPStatus.NO_CONTENT, None)
    body = _body(request)
    if request.method == "POST":
        made = streams.create(receiver, streams.read(body))
        return _answer(HTTPStatus.CREATED, streams.shown_to(made))
    changed = streams.change(receiver, _key(body), body, whole=request.method == "PUT")
    return _answer(HTTPStatus.OK, streams.shown_to(changed))


@_machine("GET", "POST")
def status(request: HttpRequest) -> HttpResponse:
    """Read and set the status of a stream (section 8.1.2)."""
    if request.method == "GET":
        receiver = _receiver(request, READ, MANAGE)
        stream = streams.of(receiver, known_uuid(request.GET.get("stream_id", "")))
    else:
        receiver, body = _receiver(request, MANAGE), _body(request)
        said = body.get("reason", "")
        stream = streams.set_status(receiver, _key(body), status=body.get("status"), reason=said)
    shown = {"stream_id": str(stream.pk), "status": stream.status}
    return _answer(HTTPStatus.OK, {**shown, "reason": stream.status_reason} if stream.status_reason else shown)


@_machine("POST")
def verify(request: HttpRequest) -> HttpResponse:
    """Have a verification event sent (section 8.1.4)."""
    receiver, body = _receiver(request, MANAGE), _body(request)
    streams.verify(receiver, _key(body), body.get("state"))
    return _answer(HTTPStatus.NO_CONTENT, None)


@_machine("POST")
def poll(request: HttpRequest, *, stream: UUID) -> HttpResponse:
    """Answer a poll (RFC 8936)."""
    receiver = _receiver(request, MANAGE)
    found = streams.of(receiver, stream)
    return _answer(HTTPStatus.OK, polled.answer(receiver, found, polled.read(_body(request))))
