"""Why a change of a connector is refused."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class TooManyConnectors(DomainError):
    """A system has at most two connectors. Revoke one of them first."""

    code, status = "too_many_connectors", HTTPStatus.CONFLICT


class ConnectorRevoked(DomainError):
    """The connector was revoked before."""

    code, status = "connector_revoked", HTTPStatus.CONFLICT


class EnrolmentRefused(DomainError):
    """The enrolment code or the key cannot be used. Ask for another connector.

    The code is unknown, was used, was revoked or has expired, or the key was enrolled before.
    """

    code, status = "enrolment_refused", HTTPStatus.FORBIDDEN
