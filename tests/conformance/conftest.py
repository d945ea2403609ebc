"""One database a module for the suites whose nodes are other processes, emptied after it."""

from tests.entitlements.gateway.conftest import database as database  # noqa: PLC0414 - a fixture of ours too
