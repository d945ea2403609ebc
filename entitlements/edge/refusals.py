"""What a refusal says at an OAuth endpoint: the protocol's own `error` word, and beside it our stable `code`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from entitlements.authorization_details.details import DetailsInvalid
from entitlements.codes import TABLE, Code
from entitlements.errors import DomainError
from entitlements.sessions import sessions
from entitlements.tokens import assertions
from entitlements.tokens.issue import NotIssued
from entitlements.trusted_issuers import key_sets
from entitlements.words import Flow

_WORDS: Final = {
    assertions.AlreadyUsed.code: "invalid_grant",
    DetailsInvalid.code: "invalid_authorization_details",
    key_sets.KeysUnreachable.code: "temporarily_unavailable",
    sessions.SessionEnded.code: "invalid_grant",
}
_STATUS: Final = {
    "not_found": HTTPStatus.NOT_FOUND,
    "invalid_client": HTTPStatus.UNAUTHORIZED,
    "temporarily_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "slow_down": HTTPStatus.TOO_MANY_REQUESTS,
}


_OF_PAGES: Final = frozenset({Flow.REFRESH, Flow.AUTHORIZATION_CODE})
"""The grants of a client that begins again at the authorization endpoint, as RFC 6749 section 5.2 has it."""

USED: Final = ("The assertion was used before. Make a new one.", assertions.AlreadyUsed.code)
CODE_UNKNOWN: Final = ("The code is not known, or was used before.", "code_unknown")


class Refused(DomainError):
    """The request is refused."""

    def __init__(self, oauth: str, code: str, message: str, **detail: object) -> None:
        super().__init__(message, **detail)
        self.__dict__["code"] = code  # the word of this refusal, over the one of the class
        self.oauth = oauth


def invalid_request(message: str, code: str = "invalid_request") -> Refused:
    """Return the refusal of a request that lacks something, or has too much."""
    return Refused("invalid_request", code, message)


def invalid_client(message: str, code: str = "client_not_authenticated") -> Refused:
    """Return the refusal of a client that did not prove who it is."""
    return Refused("invalid_client", code, message)


def invalid_grant(message: str, code: str = "invalid_grant") -> Refused:
    """Return the refusal of a subject token, assertion or code."""
    return Refused("invalid_grant", code, message)


def invalid_target(message: str, code: str = "invalid_target") -> Refused:
    """Return the refusal of an audience or a resource (RFC 8693 section 2.2.2, RFC 8707 section 2)."""
    return Refused("invalid_target", code, message)


def no_issuer() -> Refused:
    """Return the refusal at an address below which no issuer is."""
    return Refused("not_found", "system_unknown", "There is no such issuer.")


def word(error: DomainError) -> str:
    """Return the `error` of the protocol for a refusal."""
    if isinstance(error, Refused):
        return error.oauth
    if error.code == Code.REAUTHENTICATION_DUE and isinstance(error, NotIssued) and error.flow in _OF_PAGES:
        return "invalid_grant"
    if error.code in _WORDS:
        return _WORDS[error.code]
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "temporarily_unavailable"
    meaning = TABLE.get(Code(error.code)) if error.code in Code else None
    oauth = meaning.oauth if meaning and meaning.oauth else "invalid_request"
    is_behind = isinstance(error, NotIssued) and bool(error.verdict.agent)  # not the client that authenticated
    return "invalid_grant" if oauth == "invalid_client" and is_behind else oauth


def status(error: DomainError) -> HTTPStatus:
    """Return the HTTP status: 400 unless the protocol says otherwise (RFC 6749 section 5.2)."""
    return _STATUS.get(word(error), HTTPStatus.BAD_REQUEST)
