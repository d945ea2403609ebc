"""The one base of every refusal that a caller can act on."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar


class DomainError(Exception):
    """The request cannot be carried out.

    A subclass's docstring is the message a person reads; `code` is the stable word that API, record and docs share,
    `status` the HTTP status of its problem document (RFC 9457). `detail` holds safe facts for the caller, never
    secrets.
    """

    code: str = "refused"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST

    def __init__(self, message: str = "", **detail: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.detail = detail
        super().__init__(self.message)


class NotFound(DomainError):
    """There is no such thing, or you may not see it."""

    code = "not_found"
    status = HTTPStatus.NOT_FOUND


class Malformed(DomainError):
    """The input does not have the required form."""

    code = "malformed"
    status = HTTPStatus.BAD_REQUEST


class Forbidden(DomainError):
    """Your roles do not allow this."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN


class Stale(DomainError):
    """Another person changed this after you read it. Read it again, then repeat your change."""

    code = "stale"
    status = HTTPStatus.PRECONDITION_FAILED


class ReasonRequired(DomainError):
    """A reason is required. Say why."""

    code = "reason_required"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NotRecordable(DomainError):
    """The input is too large or too exact for the audit log, and what cannot be recorded is not done. Shorten it."""

    code = "not_recordable"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
