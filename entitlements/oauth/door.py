"""What every machine endpoint of our issuers shares: a strict form in, JSON out, one trace, refusals recorded once."""

from __future__ import annotations

import functools
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import msgspec
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from audit import clock, context
from audit.actions import Action
from audit.context import Principal
from audit.refusals import refusals as record
from entitlements import addresses, ratelimits
from entitlements.codes import Code
from entitlements.errors import DomainError
from entitlements.tokens.issue import NotIssued

from . import forms, refusals

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Attempt:
    """One request at an endpoint, as far as it has come: what a refusal will be recorded about.

    `by` is None until the client has proven who it is; until then nothing it says goes into the record.
    """

    form: Mapping[str, str]
    authorization: str
    has_dpop: bool
    trace: str
    source: str
    by: Principal | None = None
    about: list[str] = field(default_factory=list)
    used_header: bool = False
    ask: Callable[[], str] | None = None
    """Makes the address at which missing access can be requested."""

    def need(self, name: str) -> str:
        """Return a parameter that must be there. Raises Refused."""
        if not self.form.get(name):
            raise refusals.invalid_request(f"The parameter {name} is missing.", "parameter_missing")
        return self.form[name]


type Endpoint = Callable[..., Mapping[str, Any] | HttpResponse]


def machine(endpoint: Endpoint) -> Callable[..., HttpResponse]:
    """Make a view of an endpoint that takes an Attempt and returns the JSON of its answer, or raises DomainError."""

    @csrf_exempt
    @login_not_required
    @functools.wraps(endpoint)
    def view(request: HttpRequest, **where: str) -> HttpResponse:
        if request.method != "POST":
            body = {"error": "invalid_request", "code": "method_not_allowed"}
            return json(body, HTTPStatus.METHOD_NOT_ALLOWED, Allow="POST")
        attempt = Attempt({}, request.headers.get("Authorization", ""), "DPoP" in request.headers, *_from(request))
        with context.acting(trace=attempt.trace, request_id=_request_id(request), source=attempt.source):
            try:
                return _answered(attempt, endpoint, request, where)
            except (DatabaseError, InterfaceError, clock.ClockUnknown) as error:
                return unavailable(error)  # even a refusal could not be recorded

    return view


def unavailable(error: Exception) -> HttpResponse:
    """Answer that nothing was done, since nothing could be looked up or recorded; it is logged with its cause."""
    logger.error("door_failed", exc_info=error)
    body = {"error": "temporarily_unavailable", "code": Code.RECORD_UNAVAILABLE.value}
    return json(body, HTTPStatus.SERVICE_UNAVAILABLE, **{"Retry-After": "2"})


def _answered(attempt: Attempt, endpoint: Endpoint, request: HttpRequest, where: Mapping[str, str]) -> HttpResponse:
    try:
        attempt.form = forms.read(request.body, request.headers.get("Content-Type", ""))
        answer = endpoint(attempt, **where)
    except ratelimits.TooMany as error:
        record.count_stranger(error.code, str(attempt.by))  # by minute: a flood must not flood the record
        body = {"error": "slow_down", "error_description": error.message, "code": error.code}
        return json(body, error.status, **{"Retry-After": str(error.wait)})
    except DomainError as error:
        return refuse(attempt, error)
    return answer if isinstance(answer, HttpResponse) else json(answer)


def refuse(attempt: Attempt, error: DomainError) -> HttpResponse:
    """Record a refusal, once and durably, and answer it. The answer names the event as `evaluation_id`.

    Raises what the database raises: a refusal that is not in the record is not given.
    """
    body: dict[str, Any] = {
        "error": refusals.word(error),
        "error_description": _plain(error.message),
        "code": str(error.code),
    }
    if attempt.by is None:
        record.count_stranger(str(error.code), attempt.source)
    else:
        links = dict.fromkeys([*attempt.about, *(error.links if isinstance(error, NotIssued) else [])])
        detail = {"error": body["error"], **error.detail}
        with context.acting(trace=attempt.trace):
            event = record.record(error, by=attempt.by, about=links, action=Action.TOKEN_REFUSED, detail=detail)
        body["evaluation_id"] = str(event.uuid)
    if "max_age" in error.detail:  # how old a sign-in may be (RFC 9470 section 3)
        body["max_age"] = error.detail["max_age"]
    if isinstance(error, NotIssued):
        body["reasons"] = error.detail["reasons"]
        if error.requestable and attempt.ask is not None:
            body["error_uri"] = body["request_access"] = attempt.ask()
    is_challenge = attempt.used_header and body["error"] == "invalid_client"
    headers = {"WWW-Authenticate": 'Basic realm="oauth"'} if is_challenge else {}
    return json(body, refusals.status(error), **headers)


def json(body: Mapping[str, Any], status: int = HTTPStatus.OK, **headers: str) -> HttpResponse:
    """Return JSON that must not be stored (RFC 6749 section 5.1)."""
    return HttpResponse(
        msgspec.json.encode(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "Pragma": "no-cache", **headers},
    )


def new_trace(unverified_traceparent: str) -> str:
    """Return the trace that a W3C `traceparent` names, else a new one."""
    match = _TRACEPARENT.fullmatch(unverified_traceparent)
    return match[1] if match and match[1].strip("0") else secrets.token_hex(16)


def known_uuid(text: str) -> UUID | None:
    """Read a UUID; None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def request_link(agent: str | None, system: str) -> Callable[[], str]:
    """Return what makes the address at which missing access can be requested."""
    return functools.partial(addresses.request_access, agent or "", system)


def _from(request: HttpRequest) -> tuple[str, str]:
    return new_trace(request.headers.get("Traceparent", "")), str(request.META.get("REMOTE_ADDR", ""))


def _request_id(request: HttpRequest) -> str:
    request_id = request.headers.get("X-Request-ID", "")
    return request_id if _REQUEST_ID.fullmatch(request_id) else ""


def _plain(message: str) -> str:
    """Keep to the characters that RFC 6749 section 5.2 allows in `error_description`."""
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "'" for char in message)
