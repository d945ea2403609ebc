"""The children of a node: whose each is, what travels, and how they start, end and start again."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from entitlements.stdio import children as children_module
from entitlements.stdio import endpoint as endpoint_module
from entitlements.stdio import package
from entitlements.stdio.children import Children, tools
from entitlements.stdio.command import Command, SandboxMissing
from entitlements.stdio.sandbox import bubblewrap, kernel, landlock, processes
from entitlements.stdio.sandbox.plan import Layer
from entitlements.upstream import egress, upstream
from entitlements.upstream.endpoint import Answer
from tests import waits
from tests.entitlements.stdio.processes import having

ADA, BEN = ("assistant", "ada"), ("assistant", "ben")


class World:
    """The children of one test."""

    def __init__(self, http: aiohttp.ClientSession, command: Command) -> None:
        self.http, self.command = http, command
        self.reports: list[tuple[str, str, str]] = []
        self.children = Children(report=lambda *said: self.reports.append(said))
        self._number = 1000

    async def get(self, owner: tuple[str, str | None] = ADA, command: Command | None = None) -> upstream.Conversation:
        return await self.children.get(self.http, "small", command or self.command, owner)

    async def call(
        self,
        name: str,
        owner: tuple[str, str | None] = ADA,
        *,
        meta: dict[str, Any] | None = None,
        gate: Callable[[], None] | None = None,
        **arguments: object,
    ) -> list[dict[str, Any]]:
        """Call a tool. Returns every message that came for it."""
        conversation = await self.get(owner)
        self._number += 1
        params = {"name": name, "arguments": arguments, "_meta": meta or {}}
        body = conversation.body(self._number, "tools/call", params)
        came: list[dict[str, Any]] = []

        async def take(text: bytes) -> bool | None:
            came.append(json.loads(text))
            return True if "id" in came[-1] else None

        async def read(answer: Answer) -> bool | None:
            return await upstream.first(answer, take)

        await conversation.post(self.http, conversation.headers(), body, read, gate=gate)
        return came

    async def facts(self, owner: tuple[str, str | None] = ADA) -> dict[str, Any]:
        (answer,) = await self.call("echo", owner)
        found: dict[str, Any] = json.loads(answer["result"]["content"][0]["text"])
        return found


def exists(folder: str) -> bool:
    return Path(folder).is_dir()


def run(command: Command, story: Callable[[World], Awaitable[None]]) -> World:
    async def whole() -> World:
        async with egress.client() as http:
            world = World(http, command)
            try:
                await story(world)
            finally:
                await world.children.close()
            return world

    return asyncio.run(whole())


def test_each_agent_and_person_has_a_child_of_their_own(command: Command) -> None:
    async def story(world: World) -> None:
        ada, again, ben = await world.facts(ADA), await world.facts(ADA), await world.facts(BEN)
        assert ada["place"] == again["place"] != ben["place"]
        assert ada["arguments"] == ["first"]
        assert world.children.owners() == [("small", ADA), ("small", BEN)]
        for place in (ada["place"], ben["place"]):
            assert exists(place)
        await world.children.close()
        assert not exists(ada["place"])
        assert not having(f"HOME={ada['place']}")

    assert run(command, story).reports == []


def test_all_share_one_where_its_command_says_so(command: Command) -> None:
    async def story(world: World) -> None:
        assert (await world.facts(ADA))["place"] == (await world.facts(BEN))["place"]
        assert world.children.owners() == [], "it ends with nobody's rights alone"

    run(replace(command, is_shared=True), story)


def test_calls_run_side_by_side_and_progress_finds_its_own(command: Command) -> None:
    async def story(world: World) -> None:
        slow = asyncio.create_task(world.call("sleep", seconds=0.5, meta={"progressToken": "same"}))
        await asyncio.sleep(0.1)
        quick = await world.call("progress", meta={"progressToken": "same"})
        assert [message["params"] for message in quick[:2]] == [
            {"progressToken": "same", "progress": 1},
            {"progressToken": "same", "progress": 2},
        ]
        assert not slow.done()
        assert len(await slow) == 1, "nothing of the other call's progress"

    run(command, story)


def test_what_the_gate_refuses_is_not_sent(command: Command) -> None:
    class Refused(Exception):
        pass

    def refuse() -> None:
        raise Refused

    async def story(world: World) -> None:
        with pytest.raises(Refused):
            await world.call("die", gate=refuse)
        assert (await world.facts())["pid"]

    assert run(command, story).reports == []


def test_a_cancelled_call_is_told_to_the_child(command: Command) -> None:
    async def story(world: World) -> None:
        conversation = await world.get()
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}

        async def take(answer: Answer) -> int:
            return answer.status

        assert await conversation.post(world.http, {}, json.dumps(note).encode(), take) == 202
        assert (await world.facts())["cancelled"] == [7]

    run(command, story)


def test_the_child_gets_nothing_that_it_asks_for(command: Command) -> None:
    async def story(world: World) -> None:
        await world.call("ask")
        assert (await world.facts())["answers"]["mine"]["error"]["code"] == -32601

    run(command, story)


def test_a_child_that_dies_starts_again_later_and_later(command: Command) -> None:
    async def story(world: World) -> None:
        before = await world.facts()
        assert await world.call("die") == [], "no answer"
        with pytest.raises(egress.Unreachable, match="started again soon"):
            await world.facts()
        place = world.children._places["small", ADA]
        assert 0 < place.not_before - asyncio.get_running_loop().time() <= 1
        await asyncio.sleep(1.05)
        assert (await world.facts())["place"] != before["place"]
        await world.call("die")
        world.children.sweep()
        assert 1 < place.not_before - asyncio.get_running_loop().time() <= 2
        assert not exists(before["place"])

    ((system, why, stderr), _) = run(command, story).reports
    assert (system, why) == ("small", "ended")
    assert stderr == "[removed]\nbroken?\n"


def test_a_message_that_is_too_long_ends_the_child(command: Command) -> None:
    async def story(world: World) -> None:
        assert await world.call("flood") == []
        world.children.sweep()

    assert run(command, story).reports[0][1] == "message_too_long"


def test_a_caller_who_goes_while_a_child_starts_leaves_none(command: Command) -> None:
    command = replace(command, argv=("/usr/bin/python3", "-c", "import time; time.sleep(60)"))
    before = processes.descendants(os.getpid())

    async def story(world: World) -> None:
        starting = asyncio.create_task(world.get())
        await asyncio.sleep(0.5)
        assert processes.descendants(os.getpid()) != before
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        for _ in range(100):
            if processes.descendants(os.getpid()) != before:
                await asyncio.sleep(0.05)
        assert processes.descendants(os.getpid()) == before

    run(command, story)


def test_an_idle_child_ends_and_a_busy_one_stays(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children_module, "IDLE_SECONDS", 0)

    async def story(world: World) -> None:
        busy = asyncio.create_task(world.call("sleep", seconds=0.4))
        idle = await world.facts(BEN)
        await asyncio.sleep(0.1)
        world.children.sweep()
        assert world.children.owners() == [("small", ADA)]
        assert len(await busy) == 1
        world.children.sweep()
        assert world.children.owners() == []
        await world.children.close()
        assert not having(f"HOME={idle['place']}")

    run(command, story)


def test_a_child_ends_with_the_rights_of_its_owner(command: Command) -> None:
    async def story(world: World) -> None:
        busy = asyncio.create_task(world.call("sleep", seconds=30))
        await asyncio.sleep(0.5)
        world.children.end("small", ADA)
        assert await asyncio.wait_for(busy, waits.SECONDS) == []

    run(command, story)


def test_a_changed_command_takes_a_new_child_and_lets_the_old_one_finish(command: Command) -> None:
    async def story(world: World) -> None:
        old = asyncio.create_task(world.call("sleep", seconds=0.4))
        await asyncio.sleep(0.2)
        world.command = replace(command, argv=(*command.argv, "other"))
        assert (await world.facts())["arguments"] == ["first", "other"]
        assert len(await old) == 1

    run(command, story)


def test_no_more_children_than_a_node_may_run(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children_module, "MOST_CHILDREN", 1)

    async def story(world: World) -> None:
        await world.facts(ADA)
        with pytest.raises(egress.Unreachable, match="as many"):
            await world.facts(BEN)

    run(command, story)


def test_one_agent_has_no_more_children_than_there_is_room_for_others(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "MOST_CHILDREN", 2)

    async def story(world: World) -> None:
        await world.facts(ADA)
        with pytest.raises(children_module.NoRoom):
            await world.facts(BEN)
        assert await world.facts(("another", "ada"))

    run(command, story)


def test_no_more_requests_than_a_child_may_hold(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "MOST_PENDING", 1)

    async def story(world: World) -> None:
        busy = asyncio.create_task(world.call("sleep", seconds=0.5))
        await asyncio.sleep(0.3)
        with pytest.raises(ConnectionRefusedError):
            await world.call("echo")
        await busy

    run(command, story)


def test_changed_files_do_not_start(command: Command, folder: Path) -> None:
    with (folder / "server.py").open("a") as file:
        file.write("# more\n")

    async def story(world: World) -> None:
        with pytest.raises(egress.Unreachable):
            await world.facts()

    assert "PackageRefused" in run(command, story).reports[0][1]


def test_without_a_sandbox_nothing_starts_that_nobody_accepted(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    with pytest.raises(SandboxMissing, match="files"):
        command.plan(scratch="/none", uid=64_200)
    accepted = replace(command, without=frozenset({Layer.FILES}))
    assert accepted.plan(scratch="/none", uid=64_200).without == {Layer.FILES}
    with pytest.raises(SandboxMissing, match="signals"):
        accepted.plan(scratch="/none", uid=None)


def test_what_was_accepted_is_left_out_only_where_it_does_not_work(command: Command) -> None:
    accepted = replace(command, without=frozenset(Layer))
    assert accepted.plan(scratch="/none", uid=64_200).without == frozenset()


def test_tools_are_listed_by_a_child_for_this_alone(command: Command) -> None:
    assert [tool["name"] for tool in asyncio.run(tools(command))] == ["echo", "again"]
    with pytest.raises(egress.Unreachable) as refused:
        asyncio.run(tools(replace(command, argv=("/usr/bin/python3", "-c", "raise SystemExit('gone')"))))
    assert refused.value.detail["stderr"] == "gone\n"


def test_a_digest_sees_every_change(folder: Path) -> None:
    seen = [package.digest(str(folder))]
    (folder / "sub").mkdir()
    (folder / "sub" / "one").write_text("1")
    seen.append(package.digest(str(folder)))
    (folder / "sub" / "one").rename(folder / "sub" / "two")
    seen.append(package.digest(str(folder)))
    (folder / "sub" / "two").chmod(0o755)
    seen.append(package.digest(str(folder)))
    (folder / "link").symlink_to("sub")
    seen.append(package.digest(str(folder)))
    (folder / "link").unlink()
    (folder / "link").symlink_to("server.py")
    seen.append(package.digest(str(folder)))
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("mode", [0o646, 0o664])
def test_files_that_others_may_write_are_not_pinned(folder: Path, mode: int) -> None:
    (folder / "server.py").chmod(mode)
    with pytest.raises(package.PackageRefused, match="written"):
        package.digest(str(folder))


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("{package}/bin/server", True),
        ("/usr/bin/python3", True),
        ("/bin/sh", True),
        ("/usr/../opt/x", False),
        ("/opt/x", False),
        ("server", False),
        ("{package}/../x", False),
        ("{package}x/y", False),
    ],
)
def test_a_command_begins_with_a_program_that_is_pinned_or_the_systems(path: str, *, may: bool) -> None:
    assert package.is_program(path) is may


def test_a_machine_without_any_sandbox_starts_none_until_that_is_accepted(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS: nothing of the sandbox works, and with all of it left out a child starts, is spoken to, and ends."""
    monkeypatch.setattr(kernel, "IS_LINUX", False)
    monkeypatch.setattr(bubblewrap, "KEEPER", str(Path(__file__).with_name("elsewhere.py")))

    async def refused(world: World) -> None:
        with pytest.raises(egress.Unreachable):
            await world.facts()

    assert "SandboxMissing: This machine does not hold: calls, files, limits" in run(command, refused).reports[0][1]

    async def story(world: World) -> None:
        found = await world.facts()
        await world.call("sleep", seconds=0.1)
        await world.children.close()
        assert not having(f"HOME={found['place']}")

    run(replace(command, without=frozenset(Layer)), story)

    async def dies(world: World) -> None:
        assert await world.call("die") == []

    run(replace(command, without=frozenset(Layer)), dies)
