"""Refuse a credential of a person or of a directory that is older than the policy allows."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from audit import clock
from audit.context import Principal
from entitlements.errors import DomainError

from . import policy
from .rules import Kind


class CredentialTooOld(DomainError):
    """The token is older than the policy allows, so it opens nothing. Make a new one, and rotate that one in time."""

    code, status = "credential_too_old", HTTPStatus.UNAUTHORIZED

    def __init__(self, holder: Principal) -> None:
        super().__init__()
        self.holder = holder
        """Whose it is: it is their refusal, and no stranger's."""


def check(kind: Kind, made: datetime, holder: Principal) -> None:
    """Refuse a credential that was made too long ago. Raises CredentialTooOld."""
    if clock.now() >= policy.current().ends_at(kind, made):
        raise CredentialTooOld(holder)
