"""What strangers, and known callers who open more than they need, cost a node: little, and never the others' share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import pytest

from entitlements.codes import Code
from entitlements.decisions.snapshot import Call, Token
from entitlements.gateway import answers
from entitlements.gateway.app import mcp_system
from entitlements.node.bearer import Bearers
from entitlements.node.directory import MISSES_A_SECOND, Directory
from entitlements.node.refusals import Refused
from entitlements.node.snapshots import Snapshots
from entitlements.node.streams import (
    STREAMS_OF_A_NODE,
    STREAMS_OF_A_TOKEN,
    STREAMS_OF_AN_AGENT,
    OpenRequest,
    OpenRequests,
)
from tests import waits
from tests.nodes.gateway.test_eras import begin
from tests.nodes.gateway.test_wire import error
from tests.nodes.gateway.world import Gateway, World


class Counted(Snapshots):
    """Instead of the database: one system, and a count of what is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.of_system = asyncio.Event()

    async def query(self, statement: str, values: Sequence[object] | Mapping[str, object]) -> list[tuple[Any, ...]]:
        del values
        self.asked.append(statement)
        if "kind = ANY" in statement:
            return [("clock",)]
        if "WHERE y.slug" in statement:
            self.of_system.set()
            await asyncio.sleep(0)
            return [(1, "Clock", "mcp_gateway", "https://clock.example", "tool_result", *[None] * 8, [])]
        return []


def test_names_that_are_nobodys_cost_some_statements_a_second_however_many_ask() -> None:
    read = Counted()

    async def story() -> None:
        directory = Directory(read)
        for number in range(2000):
            assert await directory.get(f"nobody-{number}") is None
        directory.forget()
        await asyncio.gather(*(directory.get(f"nobody-{number}") for number in range(2000)))
        assert (entry := await directory.get("clock")) is not None
        assert entry.name == "Clock"

    asyncio.run(story())
    assert len(read.asked) <= MISSES_A_SECOND * 2 + 4


def test_a_system_that_many_ask_for_at_once_is_read_once() -> None:
    read = Counted()

    async def story() -> None:
        directory = Directory(read)
        found = await asyncio.gather(*(directory.get("clock") for _ in range(100)))
        assert all(entry is found[0] and entry is not None for entry in found)

    asyncio.run(story())
    assert len(read.asked) == 6  # names, system, tools, stopped resources, how old its secret may be, network


def test_a_system_that_changes_while_it_is_read_is_read_again() -> None:
    read = Counted()

    async def story() -> None:
        directory = Directory(read)
        assert await directory.knows("clock")
        asking = asyncio.ensure_future(directory.get("clock"))
        await read.of_system.wait()
        directory.forget()
        await asking

    asyncio.run(story())
    assert sum("WHERE y.slug" in statement for statement in read.asked) == 2


@pytest.mark.parametrize(
    "authorization",
    [None, b"", b"Bearer", b"Basic eDp5", b"Bearer x", b"Bearer a.b.c", b"Bearer " + b"x" * 50_000, b"Bearer \xff.x.y"],
)
def test_whoever_presents_no_token_of_ours_is_refused_without_a_look_at_the_database(
    authorization: bytes | None,
) -> None:
    read = Counted()

    async def story() -> None:
        with pytest.raises(Refused) as refused:
            await Bearers(read, Directory(read)).check(authorization, "clock", answers.resource("clock"))
        assert refused.value.code in (Code.TOKEN_MISSING, Code.TOKEN_INVALID)

    asyncio.run(story())
    assert read.asked == []


@pytest.mark.parametrize("authorization", [{}, {"Authorization": "Bearer garbage"}])
def test_a_stranger_gets_the_same_challenge_for_every_name(
    node: Gateway, here: World, authorization: dict[str, str]
) -> None:
    def ask(slug: str) -> tuple[int, str]:
        answer = httpx2.post(f"{node.base}/gw/{slug}/mcp", content=b"{}", headers=authorization)
        return answer.status_code, answer.headers["www-authenticate"].replace(slug, "<slug>")

    assert ask("nowhere") == ask(here.system.slug)
    assert ask("nowhere")[0] == 401


def test_a_token_that_names_a_system_that_is_not_there_finds_nothing(node: Gateway, here: World) -> None:
    slug = "nowhere"
    forged = here.token(iss=f"http://localhost:8000/as/{slug}", aud=answers.resource(slug))

    answer = node.modern(slug, "tools/list", forged)

    assert (answer.status_code, error(answer)["data"]["code"]) == (404, "system_unknown")


@pytest.mark.parametrize("slug", ["", "a/b", "a\r\nx: y", 'a"b', "a\x00b", "ä", "a" * 65, "..", "a.b"])
def test_what_cannot_be_a_systems_name_is_an_address_of_nothing(slug: str) -> None:
    assert mcp_system(f"/gw/{slug}/mcp") == ""


# Streams


def stream_of(token: str, agent: str) -> OpenRequest:
    call = Call(agent, "client", None, "clock", "", {}, Token(token, 0.0, 0.0, frozenset()))
    return OpenRequest(call, None, is_call=False)  # type: ignore[arg-type]  # nothing is cancelled here


def test_streams_are_bounded_by_token_agent_and_node_and_closed_ones_make_room() -> None:
    opened = OpenRequests()
    mine = [stream_of("mine", "bot") for _ in range(STREAMS_OF_A_TOKEN)]
    for it in mine:
        opened.add(it)
    with pytest.raises(Refused) as refused:
        opened.add(stream_of("mine", "bot"))
    assert (refused.value.code, refused.value.retry_after) == (Code.RATE_LIMITED, 10)
    opened.remove(mine[0])
    opened.remove(mine[0])  # twice frees one place, not two
    opened.add(stream_of("mine", "bot"))
    with pytest.raises(Refused):
        opened.add(stream_of("mine", "bot"))

    for number in range(STREAMS_OF_AN_AGENT - STREAMS_OF_A_TOKEN):
        opened.add(stream_of(f"other-{number}", "bot"))
    with pytest.raises(Refused):
        opened.add(stream_of("yet another", "bot"))

    for number in range(STREAMS_OF_A_NODE - STREAMS_OF_AN_AGENT):
        opened.add(stream_of(f"theirs-{number}", f"bot-{number}"))
    with pytest.raises(Refused):
        opened.add(stream_of("last", "last"))


def test_a_bearer_opens_a_few_streams_and_is_told_when_to_come_back(node: Gateway, here: World) -> None:
    token = here.token()
    headers = {"Authorization": f"Bearer {token}", "Mcp-Session-Id": begin(node, here, token)}
    address = f"{node.base}/gw/{here.system.slug}/mcp"

    with contextlib.ExitStack() as streams:
        for _ in range(STREAMS_OF_A_TOKEN):
            opened = streams.enter_context(httpx2.stream("GET", address, headers=headers, timeout=waits.SECONDS))
            assert opened.status_code == 200
        refused = httpx2.get(address, headers=headers)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert error(refused)["data"]["code"] == "rate_limited"
        assert node.call(here, token).status_code == 200  # calls are not streams

    def has_room() -> bool:
        with httpx2.stream("GET", address, headers=headers, timeout=waits.SECONDS) as answer:
            return answer.status_code == httpx2.codes.OK

    waits.until(has_room)
