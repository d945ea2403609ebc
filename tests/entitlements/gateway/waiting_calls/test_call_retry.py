"""A request state holds for the one request that it was given for, and until its time (GW-11)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from entitlements.gateway.waiting_calls import call_retry, waiting_call
from entitlements.gateway.waiting_calls.waiting_call import RequestState
from entitlements.keys import session_keys, signing
from entitlements.node.node import Node
from entitlements.node.refusals import Refused
from tests.entitlements.node.unfed import on_a_node

pytestmark = pytest.mark.django_db(transaction=True)
KEY = ("bot", "alice", "bot-client")
ASKED: dict[str, Any] = {"name": "pay", "arguments": {"amount": 5}}


class Asking:
    """One request, as far as its state is looked at."""

    def __init__(self, node: Node, *, key: tuple[str, str, str] = KEY, system: str = "erp", **params: object) -> None:
        self.exchange: Any = SimpleNamespace(node=node, bearer=SimpleNamespace(key=key))
        self.entry: Any = SimpleNamespace(slug=system)
        self.call: Any = SimpleNamespace(is_modern=True, method="tools/call", params={**ASKED, **params})

    async def state(self, node: Node, seconds: float) -> str:
        """Seal the state that this request is answered with."""
        state = RequestState(
            uuid4(), 1, *KEY, self.entry.slug, self.call.method, waiting_call.digest(self.call), "e", "node-1",
            UUID(int=1), "", node.now() + seconds,
        )  # fmt: skip
        plain = msgspec.json.encode(state)
        return await session_keys.sealed(node.reads(), plain, purpose=waiting_call.PURPOSE)

    async def opens(self, text: str) -> bool:
        """Say whether the request is taken for the retry."""
        self.call.params["requestState"] = text
        try:
            return await call_retry.state_of(self.exchange, self.entry, self.call) is not None
        except Refused as why:
            return why.code != "request_state_invalid"


CASES: dict[str, tuple[dict[str, Any], float, bool]] = {
    "the same request": ({}, 60, True),
    "after its time": ({}, -1, False),
    "another caller": ({"key": ("bot", "bob", "bot-client")}, 60, False),
    "another system": ({"system": "crm"}, 60, False),
    "other arguments": ({"arguments": {"amount": 6}}, 60, False),
}


@pytest.mark.parametrize("case", CASES)
def test_a_request_state_is_for_its_own_request_until_its_time(case: str) -> None:
    signing.ensure(session_keys.ISSUER)
    changed, seconds, is_taken = CASES[case]

    async def ask(node: Node) -> bool:
        return await Asking(node, **changed).opens(await Asking(node).state(node, seconds))

    assert on_a_node(ask) is is_taken
