"""The closed vocabularies of the entitlements floor, shared by rules and rows."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

ALL_SYSTEMS: Final = "all"
"""The name of the built-in system that stands for every system behind the gateway."""
LONGEST_CLIENT_ID: Final = 1_000
"""Characters of a client's identifier: it may be the address of its document, or its sealed registration."""


class Status(StrEnum):
    """The state of a principal or a system. Only `active` lets anything pass."""

    ACTIVE = "active"
    STAGED = "staged"
    SUSPENDED = "suspended"
    DISABLED = "disabled"
    RETIRED = "retired"
    MISSING = "missing"


class ToolState(StrEnum):
    """Where a tool stands in its review."""

    PENDING = "pending"
    APPROVED = "approved"
    QUARANTINED = "quarantined"
    DISABLED = "disabled"
    REMOVED = "removed"


class Action(StrEnum):
    """What a tool does to the world, mildest first."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    EXECUTE = "execute"


REQUEST_ACCESS_TOOL: Final = "request_access"
"""The name of our own tool; no tool of an upstream is approved under it."""


class Risk(StrEnum):
    """How much harm a tool or a session can do; compare by `rank`, never as text."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return _RANK[self]


class Flow(StrEnum):
    """How a token is asked for; one value per way of the token endpoints."""

    TOKEN_EXCHANGE = "token_exchange"  # noqa: S105 - a word
    JWT_BEARER = "jwt_bearer"
    CLIENT_CREDENTIALS = "client_credentials"
    WORKLOAD_IDENTITY = "workload_identity"
    AUTHORIZATION_CODE = "authorization_code"
    REFRESH = "refresh_token"
    DEVICE = "device_code"


_RANK: Final = {Risk.LOW: 0, Risk.MEDIUM: 1, Risk.HIGH: 2, Risk.CRITICAL: 3}
REDEEMING: Final = frozenset({Flow.JWT_BEARER, Flow.AUTHORIZATION_CODE, Flow.REFRESH, Flow.DEVICE})


class Next(StrEnum):
    """What a person or a client can usefully do after a refusal (ARAP draft 1, `next_action`)."""

    REQUEST = "request"
    RETRY = "retry"
    REAUTHENTICATE = "reauthenticate"
    WAIT = "wait"
    NONE = "none"
