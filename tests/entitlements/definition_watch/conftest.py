"""One database a module, emptied after it, since nodes live that long."""

from tests.entitlements.gateway.conftest import database

__all__ = ["database"]
