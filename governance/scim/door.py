"""The door of SCIM: whose token it is, one JSON body, and each refusal as an error of RFC 7644, section 3.12."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Concatenate, Final

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from pydantic import ValidationError
from scim2_models import Error, SCIMException

from audit import context
from audit.refusals import refusals
from entitlements import ratelimits, strict
from entitlements.api import problems
from entitlements.credential_policy.age import CredentialTooOld
from entitlements.errors import DomainError
from entitlements.people_sources import sources
from entitlements.people_sources.models import PeopleSource
from governance.front import SIGNED_IN

CONTENT: Final = "application/scim+json"
_LONGEST: Final = 200
_RETRY: Final = {"removal_held": 3600}
"""Seconds after which it is worth asking again, by code."""
_TYPES: Final = {
    "user_name_taken": "uniqueness",
    "login_kept_by_hand": "uniqueness",
    "identity_taken": "uniqueness",
    "login_taken": "uniqueness",
    "subject_stays": "mutability",
    "manager_loop": "invalidValue",
    "unknown_member": "invalidValue",
    "malformed": "invalidValue",
}
"""The scimType of our codes."""
_STATUS: Final = {HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST}
"""The statuses of RFC 7644 for statuses that it does not know."""

type View[**P] = Callable[Concatenate[HttpRequest, PeopleSource, P], HttpResponse]


class NoSource(DomainError):
    """The token is missing, or it belongs to no people source. Use the token of the source."""

    code, status = "bad_credentials", HTTPStatus.UNAUTHORIZED


def door[**P](view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Make a view a door: the source whose token came comes in, and every refusal is SCIM's."""

    def enter(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        source = None
        try:
            source = _source(request)
            request.META[SIGNED_IN] = str(source.principal)
            ratelimits.check(ratelimits.API, str(source.principal))
            return view(request, source, *args, **kwargs)
        except SCIMException as error:
            return failed(error.to_error())
        except ValidationError as error:
            return failed(Error.from_validation_errors(error)[0])
        except RequestDataTooBig:
            return failed(Error(status=413, detail="The body is too large."))
        except Exception as error:  # noqa: BLE001 - the one place where all of them are translated
            return _refused(request, source, error)

    functools.update_wrapper(enter, view)
    return csrf_exempt(login_not_required(enter))


def _refused(request: HttpRequest, source: PeopleSource | None, error: Exception) -> HttpResponse:
    refusal, status = problems.translate(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, DomainError):
        problems.logger.error("SCIM failed", exc_info=error, extra={"request_id": context.current().request_id})
    if source is not None:
        changes = request.method != "GET" and refusal.code not in _RETRY  # what is held has an event of its own
        problems.record(refusal, status, by=source.principal, about=[str(source.principal)], changes=changes)
    elif isinstance(refusal, CredentialTooOld):
        problems.record(refusal, status, by=None, about=(), changes=False)
    else:
        refusals.count_stranger(refusal.code, context.current().source)
    status = _STATUS.get(HTTPStatus(status), HTTPStatus(status))
    error_body = Error(status=int(status), scim_type=_TYPES.get(str(refusal.code)), detail=refusal.message)
    response = failed(error_body)
    if isinstance(refusal, ratelimits.TooMany):
        response["Retry-After"] = str(refusal.wait)
    elif (wait := _RETRY.get(str(refusal.code))) is not None:
        response["Retry-After"] = str(wait)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="mandate"'
    return response


def _source(request: HttpRequest) -> PeopleSource:
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(sources.PREFIX) or len(token) > _LONGEST:
        raise NoSource
    source = sources.of_token(token)
    if source is None:
        raise NoSource
    return source


def body(request: HttpRequest) -> dict[str, Any]:
    """Read the one JSON object of a request. Raises SCIMException."""
    try:
        document = strict.loads(request.body)
    except DomainError as error:
        raise _syntax(error.message) from error
    if not isinstance(document, dict):
        raise _syntax("The body is one JSON object.")
    return plain(document)


def plain[T](value: T) -> T:
    """Return what a directory sent, when every text in it can be stored. Raises SCIMException.

    A body is looked at as it comes; a filter, and what a change makes of a resource, once their escapes are read.
    """
    if not strict.is_storable(value):
        raise SCIMException.from_error(
            Error(status=400, scim_type="invalidValue", detail="A text holds NUL or half a surrogate pair.")
        )
    return value


def _syntax(detail: str) -> SCIMException:
    return SCIMException.from_error(Error(status=400, scim_type="invalidSyntax", detail=detail))


def answer(document: dict[str, Any], *, status: int = HTTPStatus.OK) -> HttpResponse:
    """Answer with a SCIM document."""
    return HttpResponse(json.dumps(document), content_type=CONTENT, status=status)


def failed(error: Error) -> HttpResponse:
    """Answer with a SCIM error."""
    return answer(error.model_dump(), status=error.status or HTTPStatus.BAD_REQUEST)
