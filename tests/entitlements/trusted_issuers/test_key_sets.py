"""The key sets of issuers in one process: one fetch at a time, longer pauses in vain, and never an older set again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from entitlements.backlog import Backlog, Busy
from entitlements.keys import jws, public_keys
from entitlements.trusted_issuers import key_sets
from entitlements.upstream import egress
from tests.entitlements.edge import worlds

FIRST, SECOND = worlds.new_key("first"), worlds.new_key("second")


class Address:
    """An address of a key set in a process whose clock the test moves."""

    def __init__(self) -> None:
        self.now, self.asked, self.keys, self.fails = 1000.0, 0, [FIRST], False
        self.holds: asyncio.Event | None = None

    async def fetch(self, url: str) -> Any:  # noqa: ANN401 - any JSON
        assert url == "https://login.example/keys"
        self.asked += 1
        published = worlds.key_set(*self.keys)
        if self.holds is not None:
            await self.holds.wait()
        if self.fails:
            raise egress.Unreachable
        return published

    async def keys_for(self, kid: str | None) -> list[str]:
        found = await key_sets.fetched(7, "https://login.example/keys", kid, self.fetch, public_keys.read_set)
        return [key.kid for key in found]

    def read(self, kid: str | None = None) -> list[str]:
        return asyncio.run(self.keys_for(kid))


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    made = Address()
    clock: Callable[[], float] = lambda: made.now  # noqa: E731 - a clock
    monkeypatch.setattr("entitlements.trusted_issuers.key_sets.time.monotonic", clock)
    key_sets.forget()
    yield made
    key_sets.forget()


async def settled() -> None:
    """Let the others come as far as they can; the clock of the loop stands still."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_who_waits_for_the_keys_of_a_slow_issuer_holds_no_turn(address: Address) -> None:
    turns, done = Backlog(at_once=2), list[str]()

    async def asks() -> None:
        async with turns.turn():
            await address.keys_for("first")

    async def story() -> None:
        address.holds = asyncio.Event()
        waiting = [asyncio.create_task(asks()) for _ in range(3)]
        await settled()
        async with turns.turn():
            done.append("another")
        address.holds.set()
        await asyncio.gather(*waiting)

    asyncio.run(story())
    assert (done, address.asked) == (["another"], 1)


def test_keys_that_came_too_late_for_their_request_are_kept_for_the_next(address: Address) -> None:
    turns = Backlog(at_once=1, waiting=0)

    async def story() -> None:
        address.holds = asyncio.Event()
        late = asyncio.create_task(asks())
        await settled()
        async with turns.turn():
            address.holds.set()
            with pytest.raises(Busy):
                await late

    async def asks() -> None:
        async with turns.turn():
            await address.keys_for("first")

    asyncio.run(story())
    address.holds = None
    assert (address.read("first"), address.asked) == (["first"], 1)


def test_ema_r_2_a_new_key_is_found_at_once(address: Address) -> None:
    assert address.read("first") == ["first"]
    address.keys, address.now = [FIRST, SECOND], address.now + 3
    assert address.read("second") == ["first", "second"]
    assert address.asked == 2


def test_ema_r_2_unknown_keys_are_looked_for_ever_less_often(address: Address) -> None:
    address.read("first")
    for _ in range(240):
        address.now += 1
        address.read("forged")
    assert address.asked <= 10, "after 2, 4, 8, 16, 32 seconds, then each minute"
    address.keys, address.now = [FIRST, SECOND], address.now + key_sets.LONGEST_PAUSE_SECONDS
    assert address.read("second") == ["first", "second"]


def test_ema_r_2_the_last_set_serves_for_an_hour_while_the_issuer_is_away(address: Address) -> None:
    address.read("first")
    address.fails = True
    address.now += key_sets.STALE_SECONDS
    assert address.read("first") == ["first"]
    asked = address.asked
    assert address.read("first") == ["first"]
    assert address.asked == asked, "what failed is not tried again at once"
    address.now += key_sets.LONGEST_PAUSE_SECONDS
    with pytest.raises(key_sets.KeysUnreachable):
        address.read("first")
    address.fails, address.now = False, address.now + key_sets.LONGEST_PAUSE_SECONDS
    assert address.read("first") == ["first"]


def test_ema_r_2_a_key_that_was_taken_back_never_comes_back(address: Address) -> None:
    address.keys = [FIRST, SECOND]
    assert address.read() == ["first", "second"]
    address.keys = [SECOND]
    address.now += key_sets.FRESH_SECONDS + 1
    assert address.read() == ["second"]
    address.keys = [FIRST, SECOND]
    address.now += key_sets.GONE_SECONDS + 1
    assert address.read("first") == ["second"]
    address.keys, address.now = [worlds.new_key("first"), SECOND], address.now + key_sets.FRESH_SECONDS + 1
    assert address.read("first") == ["first", "second"], "another key of that name is new"


def test_two_servers_of_an_issuer_may_disagree_for_a_moment(address: Address) -> None:
    address.keys = [FIRST, SECOND]
    address.read()
    address.keys, address.now = [FIRST], address.now + key_sets.FRESH_SECONDS + 1
    assert address.read() == ["first"]
    address.keys, address.now = [FIRST, SECOND], address.now + 3
    assert address.read("second") == ["first", "second"]


def test_those_who_come_together_wait_for_one_fetch(address: Address) -> None:
    async def together() -> list[list[str]]:
        address.holds = asyncio.Event()
        coming = [asyncio.create_task(address.keys_for("first")) for _ in range(20)]
        await asyncio.sleep(0)
        address.holds.set()
        return await asyncio.gather(*coming)

    assert asyncio.run(together()) == [["first"]] * 20
    assert address.asked == 1


def test_a_request_that_is_given_up_leaves_the_others_no_set_that_never_ends(address: Address) -> None:
    async def given_up() -> None:
        address.holds = asyncio.Event()
        first = asyncio.create_task(address.keys_for("first"))
        await asyncio.sleep(0)
        second = asyncio.create_task(address.keys_for("first"))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(key_sets.KeysUnreachable):
            await second

    asyncio.run(given_up())
    address.holds, address.now = None, address.now + 3
    assert address.read("first") == ["first"]


def test_who_knows_the_key_does_not_wait_for_a_slow_refresh(address: Address) -> None:
    address.read("first")
    address.now += key_sets.FRESH_SECONDS + 1

    async def slow() -> list[str]:
        address.holds = asyncio.Event()
        refresh = asyncio.create_task(address.keys_for("first"))
        await asyncio.sleep(0)
        known = await address.keys_for("first")
        address.holds.set()
        await refresh
        return known

    assert asyncio.run(slow()) == ["first"]


def test_a_weak_key_in_the_set_keeps_the_last_set(address: Address) -> None:
    address.read("first")
    private = {"keys": [FIRST.material.as_dict(private=True)]}

    async def fetch(_url: str) -> Any:  # noqa: ANN401 - any JSON
        return private

    address.now += key_sets.FRESH_SECONDS + 1
    kept = asyncio.run(key_sets.fetched(7, "https://login.example/keys", None, fetch, public_keys.read_set))
    assert isinstance(kept[0], jws.Key)
    assert [key.kid for key in kept] == ["first"]
