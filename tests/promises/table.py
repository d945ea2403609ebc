"""Which promise is shown, and which attack is tried, for which kind of system: the cells, and why some are empty.

Promises are those of the product: each is one number. A test takes its ways by `cells`, which notes them; what no test
takes stands in `EMPTY` with its reason. `test_table.py` fails for a cell that is neither, and for a kind without a way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from entitlements.catalog.models import System

MCP, REST_BY_MCP, REST, STDIO, VENDOR = "mcp_gateway", "http by MCP", "http by REST", "stdio", "mcp"
WAYS: Final[dict[str, tuple[str, ...]]] = {
    System.Kind.MCP_GATEWAY: (MCP,),
    System.Kind.HTTP: (REST_BY_MCP, REST),
    System.Kind.STDIO: (STDIO,),
    System.Kind.MCP: (VENDOR,),
}
"""The ways by which a kind of system is reached."""
NOT_REACHED: Final[dict[str, str]] = {
    System.Kind.BUILTIN: "It is Mandate's own API, which forwards nothing.",
    System.Kind.KNOWN: "It stands in an import alone: no token is issued for it, and no call goes to it.",
}
GATEWAY: Final = (MCP, REST_BY_MCP, REST, STDIO)
"""The ways through the gateway."""
PROMISES: Final[dict[int, str]] = {
    1: "no call without an active grant that covers agent, user, tool and arguments",
    2: "a revocation is immediate",
    3: "no token outlives what it stands on",
    4: "each outcome has exactly one event, durable before it is acknowledged",
    5: "tampering with the record is found",
    6: "self-approval and self-certification are impossible",
    7: "what was approved is what runs",
    8: "no inbound token goes out, no upstream secret comes back",
    9: "what is down allows nothing",
    10: "rotation and deployment lose no decision",
    11: "a restored backup verifies, and what was revoked stays revoked",
    12: "unsafe settings are refused",
}
ALIKE: Final[dict[str, str]] = {
    "review": "certify, reduce and revoke, their verification, and evidence that adds up",
    "receipt": "a signed receipt of a revocation, with each node or with what may live on",
    "usage": "each call counted where a review looks",
    "budgets": "a call that a budget has no room for is denied, and an answer that it has no room for kept back",
}
"""What treats every kind alike beside the promises."""
ATTACKS: Final[dict[str, str]] = {
    "smuggling": "one request that is two to another parser, and headers or arguments that are more than one",
    "parsing": "bodies and addresses that parsers read differently",
    "rug pull": "a definition that changes after its approval",
    "shadowing": "a tool that is called like another's",
    "compressed bomb": "an answer that inflates",
    "endless answer": "an answer without an end",
    "inner address": "an address of our own network, however it is written",
    "rebinding": "a name whose address changes between the check and the connection",
    "canary": "secrets, looked for in every sink",
}
EMPTY: Final[dict[tuple[int | str, str], str]] = {
    ("usage", VENDOR): "No call passes us: of a native system tokens are counted, and a review says so (grade B).",
    ("budgets", VENDOR): "No call passes us, so none can be counted before it goes.",
    ("smuggling", VENDOR): "No call passes us: the vendor's server reads it. Our token endpoint is not its own.",
    ("parsing", VENDOR): "As smuggling.",
    ("compressed bomb", VENDOR): "No answer of the vendor's passes us but a list of its tools, as of `mcp_gateway`.",
    ("endless answer", VENDOR): "As the compressed bomb.",
    ("compressed bomb", STDIO): "A pipe has no content coding: a long line is refused instead, as an endless answer.",
    ("inner address", STDIO): "A local server has no address; where it may connect its sandbox says (test_sandbox.py).",
    ("rebinding", STDIO): "As inner addresses.",
}
COVERED: Final[dict[tuple[int | str, str], set[str]]] = {}
"""The tests of each cell, noted as their modules are imported."""


type Row = int | str


def cells[F: Callable[..., object]](rows: Row | tuple[Row, ...], *ways: str) -> Callable[[F], F]:
    """Run a test of a promise or an attack, or of several, once for each of these ways, and note its cells."""

    def noted(test: F) -> F:
        for row in rows if isinstance(rows, tuple) else (rows,):
            for way in ways:
                COVERED.setdefault((row, way), set()).add(test.__qualname__)
        run: F = pytest.mark.parametrize("way", ways)(test)
        return run

    return noted


def also[F: Callable[..., object]](row: Row, way: str) -> Callable[[F], F]:
    """Note that a test shows a cell of another way beside its own."""

    def noted(test: F) -> F:
        COVERED.setdefault((row, way), set()).add(test.__qualname__)
        return test

    return noted


def kinds[F: Callable[..., object]](*rows: Row) -> Callable[[F], F]:
    """Run a test of what is the same by each way to a system once for each kind, and note the cells of its ways."""

    def noted(test: F) -> F:
        for row in rows:
            for way in (way for ways in WAYS.values() for way in ways):
                COVERED.setdefault((row, way), set()).add(test.__qualname__)
        run: F = pytest.mark.parametrize("kind", [str(kind) for kind in WAYS])(test)
        return run

    return noted
