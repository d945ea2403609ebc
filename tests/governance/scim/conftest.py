"""The gateway's own servers, for what a directory's word does there."""

from tests.entitlements.gateway.conftest import database, here, node, time_server

__all__ = ["database", "here", "node", "time_server"]
