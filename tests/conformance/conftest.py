"""One database a module for the suites whose nodes are other processes, emptied after it."""

from tests.nodes.conftest import database as database  # noqa: PLC0414 - a fixture of ours too
