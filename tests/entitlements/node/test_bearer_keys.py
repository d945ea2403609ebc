"""Which keys a gateway takes tokens of: a key that another node uses already, and no other before its time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from entitlements import addresses
from entitlements.gateway import answers
from entitlements.keys import jws
from entitlements.node.bearer import Bearers
from entitlements.node.directory import Directory
from entitlements.node.refusals import Refused
from entitlements.node.snapshots import Snapshots
from tests.entitlements.edge import worlds

RESOURCE = answers.resource("clock")


class Rows(Snapshots):
    """Instead of the database: one system, one client, and the keys as they are now."""

    def __init__(self, **states: str) -> None:
        self.keys = {kid: worlds.new_key(kid) for kid in states}
        self.states, self.asked = states, 0

    async def query(self, statement: str, values: Sequence[object] | Mapping[str, object]) -> list[tuple[Any, ...]]:
        del values
        if "entitlements_signingkey" not in statement:
            return [("clock",)] if "kind = ANY" in statement else [("script", False, None)]
        self.asked += 1
        return [
            (kid, key.material.as_dict(private=False), None, self.states[kid] == "next")
            for kid, key in self.keys.items()
        ]

    def token(self, kid: str, *, by: jws.Key | None = None) -> bytes:
        now = int(time.time())
        issuer = addresses.issuer(addresses.issuer_path("clock"))
        claims = {"iss": issuer, "aud": RESOURCE, "client_id": "script", "jti": "1", "iat": now, "exp": now + 60}
        key = by or self.keys[kid]
        return b"Bearer " + jws.sign(claims, jws.Key(kid, key.algorithm, key.material), "at+jwt").encode()


def taken(rows: Rows, bearers: Bearers, authorization: bytes) -> bool:
    with contextlib.suppress(Refused):
        asyncio.run(bearers.check(authorization, "clock", RESOURCE))
        return bool(rows.asked)
    return False


@pytest.fixture
def rows() -> Rows:
    return Rows(old="active", new="next")


def test_a_token_of_the_next_key_is_taken_as_soon_as_another_node_uses_it(rows: Rows) -> None:
    bearers = Bearers(rows, Directory(rows))
    assert taken(rows, bearers, rows.token("old"))
    rows.states["new"] = "active"  # the change has not reached this node, which read the keys a moment ago
    assert taken(rows, bearers, rows.token("new"))


def test_a_key_that_is_only_published_signs_nothing(rows: Rows) -> None:
    bearers = Bearers(rows, Directory(rows))
    assert not taken(rows, bearers, rows.token("new"))


def test_strangers_who_name_the_next_key_cost_no_look_at_the_database(rows: Rows) -> None:
    bearers = Bearers(rows, Directory(rows))
    assert taken(rows, bearers, rows.token("old"))
    asked = rows.asked
    for number in range(20):
        assert not taken(rows, bearers, rows.token("new", by=worlds.new_key(f"mine-{number}")))
    assert rows.asked == asked
