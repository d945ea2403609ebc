"""Work under way is bounded: what waits comes in order, and what waits for too long, or is too much, is turned away."""

from __future__ import annotations

import asyncio

import pytest

from entitlements import backlog
from entitlements.backlog import Backlog, Busy
from tests import waits


def test_turns_come_in_order_and_no_more_than_allowed_at_once() -> None:
    turns, in_hand, began, most = Backlog(at_once=2), [0], list[int](), [0]

    async def work(number: int) -> None:
        async with turns.turn():
            began.append(number)
            in_hand[0] += 1
            most[0] = max(most[0], in_hand[0])
            await asyncio.sleep(0)
            in_hand[0] -= 1

    async def crowd() -> None:
        await asyncio.gather(*(work(number) for number in range(50)))

    asyncio.run(crowd())
    assert (began, most) == ([*range(50)], [2])


def test_who_finds_too_many_waiting_is_turned_away_at_once_and_who_waits_too_long_then() -> None:
    turns = Backlog(at_once=1, waiting=1, within=0.01)

    async def crowd() -> None:
        async with turns.turn():
            late = asyncio.create_task(_turn(turns))
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                await _turn(turns)
            with pytest.raises(Busy):
                await late
        await _turn(turns)

    asyncio.run(crowd())


def test_a_turn_that_is_given_to_one_who_left_is_given_back() -> None:
    turns = Backlog(at_once=1)

    async def crowd() -> None:
        async with turns.turn():
            leaves = asyncio.create_task(_turn(turns))
            await asyncio.sleep(0)
        leaves.cancel()  # it has its turn by now, and has not run yet
        await asyncio.gather(leaves, return_exceptions=True)
        await asyncio.wait_for(_turn(turns), waits.SECONDS)

    asyncio.run(crowd())


def test_work_that_fails_gives_its_turn_back() -> None:
    turns = Backlog(at_once=1)

    async def crowd() -> None:
        with pytest.raises(ValueError, match="broken"):
            async with turns.turn():
                raise ValueError("broken")
        await asyncio.wait_for(_turn(turns), waits.SECONDS)

    asyncio.run(crowd())


def test_others_have_the_turn_of_one_who_waits_for_another_server() -> None:
    turns, seen = Backlog(at_once=1, waiting=0), list[str]()

    async def fetches() -> None:
        async with turns.turn():
            async with backlog.outside(), turns.turn():
                seen.append("another")
            with pytest.raises(Busy):
                await asyncio.create_task(_turn(turns))
            seen.append("mine again")

    asyncio.run(fetches())
    asyncio.run(_alone(turns))
    assert seen == ["another", "mine again"]


def test_who_finds_the_turn_gone_afterwards_is_turned_away_and_gives_nothing_back() -> None:
    turns = Backlog(at_once=1, waiting=0)

    async def fetches() -> None:
        with pytest.raises(Busy):
            async with turns.turn(), backlog.outside():
                await turns.take()
        with pytest.raises(Busy):
            await _turn(turns)
        turns.give_back()
        await _turn(turns)

    asyncio.run(fetches())


def test_who_has_given_the_turn_away_gives_none_away_again() -> None:
    turns = Backlog(at_once=1, waiting=0)

    async def comes_late() -> None:
        async with backlog.outside():
            await turns.take()

    async def fetches() -> None:
        async with turns.turn():
            with pytest.raises(Busy):
                await comes_late()
            async with backlog.outside():
                pass
            turns.give_back()
        await turns.take()
        with pytest.raises(Busy):
            await turns.take()

    asyncio.run(fetches())


def test_a_document_that_is_fetched_without_a_turn_takes_none() -> None:
    turns = Backlog(at_once=1, waiting=0)

    async def fetches() -> None:
        async with backlog.outside():
            pass
        await _turn(turns)
        async with turns.turn():
            with pytest.raises(Busy):
                await asyncio.create_task(_turn(turns))

    asyncio.run(fetches())


def test_those_who_are_turned_away_together_come_back_apart() -> None:
    waits = {Busy().wait for _ in range(300)}
    assert waits == set(range(1, backlog.RETRY_WITHIN + 1))


async def _alone(turns: Backlog) -> None:
    async with turns.turn():
        with pytest.raises(Busy):
            await asyncio.create_task(_turn(turns))


async def _turn(turns: Backlog) -> None:
    async with turns.turn():
        pass
