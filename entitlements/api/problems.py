"""Every error of the API as one problem document (RFC 9457) with a stable code; every refusal recorded once.

A document: {"type": "urn:mandate:problem:<code>", "title", "status", "detail", "code", "request_id", "facts"?,
"errors"?}.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from audit import clock, context, draft, redaction
from audit.context import Principal
from audit.refusals import refusals
from entitlements import ratelimits
from entitlements.conflicts.independence import ProposerGone
from entitlements.credential_policy.age import CredentialTooOld
from entitlements.dpop import nonces
from entitlements.dpop.proofs import NonceNeeded
from entitlements.errors import DomainError, NotRecordable
from entitlements.secrets.seal import RootKey

FAILURES: Final = HTTPStatus.INTERNAL_SERVER_ERROR
"""From this status on it is our failure and no refusal."""
MEDIA_TYPE: Final = "application/problem+json"
RECORDED: Final = frozenset(
    {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""What counts as a refusal when something was to change; malformed and outdated asks decide nothing."""

LINK: Final = re.compile(r"[a-z_]+:[^\x00-\x20\x7f]{1,1000}")
"""What a refusal can be about; what the caller named and nothing can be called is left out."""

logger = logging.getLogger(__name__)


class ProblemRenderer(JSONRenderer):
    """JSON under the media type of problem documents."""

    media_type = MEDIA_TYPE


class Unauthenticated(DomainError):
    """You are not signed in. Sign in, or send a bearer token."""

    code, status = "authentication_required", HTTPStatus.UNAUTHORIZED


class BadCredentials(DomainError):
    """The credentials are not valid or have expired. Sign in, or use a new token."""

    code, status = "authentication_failed", HTTPStatus.UNAUTHORIZED


class Unavailable(DomainError):
    """The database cannot be reached, and nothing was changed. Try again."""

    code, status = "unavailable", HTTPStatus.SERVICE_UNAVAILABLE


class Unexpected(DomainError):
    """Mandate failed while it answered. The request id names the error in its logs."""

    code, status = "internal_error", HTTPStatus.INTERNAL_SERVER_ERROR


class Invalid(DomainError):
    """Some fields are not valid. See `errors`."""

    code, status = "invalid", HTTPStatus.BAD_REQUEST


class UnknownField(Invalid):
    """The body has unknown fields. See `errors`, and leave them out."""

    code = "unknown_field"


FRAMEWORK: Final[Mapping[type[exceptions.APIException], str]] = {
    exceptions.ParseError: "malformed",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.NotAcceptable: "not_acceptable",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.Throttled: "rate_limited",
    exceptions.PermissionDenied: "forbidden",
    exceptions.NotFound: "not_found",
}


def translate(error: Exception) -> tuple[DomainError, HTTPStatus]:  # noqa: PLR0911 - a table
    """Return the error as a refusal with its published code, and the HTTP status of its document."""
    match error:
        case DomainError():
            return error, error.status
        case exceptions.ValidationError():
            invalid = _invalid(error)
            return invalid, invalid.status
        case exceptions.NotAuthenticated():
            return Unauthenticated(), HTTPStatus.UNAUTHORIZED
        case exceptions.AuthenticationFailed():
            return _failed(error), HTTPStatus.UNAUTHORIZED
        case exceptions.APIException():
            return _named(FRAMEWORK.get(type(error), "refused"), str(error.detail)), HTTPStatus(error.status_code)
        case Http404():
            return _named("not_found", "There is no such thing, or you may not see it."), HTTPStatus.NOT_FOUND
        case PermissionDenied():
            return _named("forbidden", "Your roles do not allow this."), HTTPStatus.FORBIDDEN
        case draft.BadEvent() | redaction.Unrepresentable():
            return NotRecordable(), NotRecordable.status
        case OperationalError() | InterfaceError():
            return Unavailable(), Unavailable.status
    return Unexpected(), Unexpected.status


def _failed(error: Exception) -> DomainError:
    return error.__cause__ if isinstance(error.__cause__, CredentialTooOld) else BadCredentials()


def document(error: DomainError, status: HTTPStatus) -> dict[str, Any]:
    """Write the problem document of a refusal."""
    facts = dict(error.detail)
    errors = facts.pop("errors", None)
    return {
        "type": f"urn:mandate:problem:{error.code}",
        "title": status.phrase,
        "status": int(status),
        "detail": error.message,
        "code": str(error.code),
        "request_id": context.current().request_id,
        **({"facts": facts} if facts else {}),
        **({"errors": errors} if errors else {}),
    }


def response(error: Exception) -> tuple[Response, DomainError]:
    """Answer with the problem document of any exception; an unexpected one is logged with its traceback."""
    refusal, status = translate(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, DomainError):
        logger.error("the API failed", exc_info=error, extra={"request_id": context.current().request_id})
    headers: dict[str, str] = {}
    if isinstance(error, exceptions.Throttled | ratelimits.TooMany):
        headers["Retry-After"] = str(int(getattr(error, "wait", None) or 1))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="mandate"'
    if isinstance(error.__cause__, NonceNeeded):  # RFC 9449 section 9
        headers["WWW-Authenticate"] = 'DPoP realm="mandate", error="use_dpop_nonce"'
        headers["DPoP-Nonce"] = nonces.current(clock.now().timestamp(), RootKey.SIGNING)
    return Response(document(refusal, status), status=status, headers=headers), refusal


def record(refusal: DomainError, status: int, *, by: Principal | None, about: Iterable[str], changes: bool) -> None:
    """Record a refusal once, in its own transaction; a stranger's failure is counted by source and minute instead.

    So is the same refusal of one caller, after ten of them in a minute. A proposal that lapsed by it ends here.
    """
    if isinstance(refusal, ProposerGone):
        with contextlib.suppress(DomainError):  # it is over already, or another person withdraws it
            refusal.end()
    if isinstance(refusal, CredentialTooOld):
        refusals.record(refusal, by=refusal.holder, about=[str(refusal.holder)])
    elif by is None:
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            refusals.count_stranger(refusal.code, context.current().source)
    elif status == HTTPStatus.FORBIDDEN or (changes and status in RECORDED):
        refusals.record_or_count(refusal, by=by, about=[link for link in about if LINK.fullmatch(link)])


class _FrameworkRefusal(DomainError):
    """A refusal by the framework, whose code is known only when it happens."""


def _named(code: str, message: str) -> DomainError:
    """Make a refusal with a code of the framework's own errors."""
    named = _FrameworkRefusal(message)
    named.code = code
    return named


def _invalid(error: exceptions.ValidationError) -> DomainError:
    errors = list(_flat(error.detail, ""))
    unknown = any(field_error["code"] == UnknownField.code for field_error in errors)
    return (UnknownField if unknown else Invalid)(errors=errors)


def _flat(detail: object, pointer: str) -> Iterator[dict[str, str]]:
    """Flatten the framework's nested errors: a JSON Pointer, a code and a sentence each."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else "/" + str(name).replace("~", "~0").replace("/", "~1")
            yield from _flat(inner, pointer + step)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _flat(inner, f"{pointer}/{index}" if nested else pointer)
    else:
        yield {"pointer": pointer, "code": str(getattr(detail, "code", "invalid")), "detail": str(detail)}
