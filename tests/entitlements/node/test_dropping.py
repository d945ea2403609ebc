"""A change drops the facts that hold whom it names, and no others; what a node does not understand drops everything."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections

from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems, tools
from entitlements.catalog.models import System, Tool
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import guardrails
from entitlements.decisions.snapshot import Token
from entitlements.feed import changes
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.keys import signing
from entitlements.node import snapshots
from entitlements.node.bearer import Bearer
from entitlements.node.node import Node
from entitlements.node.refusals import Closed
from entitlements.node.snapshots import SnapshotInUse
from entitlements.people import people
from entitlements.people.models import Group, Person
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make, waits

pytestmark = pytest.mark.django_db(transaction=True)

ALL = {("reader", "mail"), ("reader", "files"), ("writer", "mail")}
WHY: dict[str, Any] = {"by": SYSTEM, "reason": "for a test"}


@dataclass
class World:
    """Two agents at two systems: one for alice at the mail, one for a group there; bob is in no agent's facts."""

    alice: Person
    bob: Person
    carol: Person
    group: Group
    reader: Agent
    writer: Agent
    mail: System
    files: System
    tool: Tool
    grant: Grant
    script: Client
    issuer: TrustedIssuer


@pytest.fixture
def world() -> World:
    alice, bob, carol = make.person("alice"), make.person("bob"), make.person("carol")
    group, mail, files = make.group(carol), make.system("mail"), make.system("files")
    tool, reader, writer = make.tool(mail), make.agent("reader"), make.agent("writer")
    grant = make.grant(reader, make.entitlement(mail, tool), people=[alice])
    make.grant(reader, make.entitlement(files))
    make.grant(writer, make.entitlement(mail, tool), groups=[group])
    script, _ = make.client(None, "script", auth="client_secret_basic")
    issuer = trust.begin("https://login.example", purpose="identity", jwks_uri="https://login.example/k", by=SYSTEM)
    signing.ensure("as/mail")
    return World(alice, bob, carol, group, reader, writer, mail, files, tool, grant, script, issuer)


def with_node(test: Callable[[Node], Awaitable[None]]) -> None:
    """Run a test with a node that follows the feed and serves nothing."""

    async def run() -> None:
        node = Node()
        async with node.pool:
            await node.feed.start()
            try:
                await test(node)
            finally:
                await node.feed.stop()

    asyncio.run(run())


async def done[T](act: Callable[[], T], node: Node) -> None:
    """Take an action, and wait until the node has applied what it noted."""

    def taken() -> int:
        try:
            act()
            return changes.position(None)
        finally:
            connections.close_all()

    position = await asyncio.to_thread(taken)
    await waits.until_so(lambda: node.feed.position >= position)


def write(kind: str, **columns: object) -> None:
    """Write a row as another release would."""
    values = {"kind": kind, "subject": "test", "concerns_all": False, **columns}
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO entitlements_change ({names}, noted_at) VALUES ({places}, now())",  # noqa: S608 - of this module
            [*map(str, values.values())],
        )


CASES: dict[str, tuple[Callable[[World], object], set[tuple[str, str]]]] = {
    "a person whom a grant serves": (lambda w: people.disable(w.alice, **WHY), {("reader", "mail")}),
    "a person in no agent's facts": (lambda w: people.disable(w.bob, **WHY), set()),
    "a member of a group": (lambda w: people.leave_group(w.group, w.carol, **WHY), {("writer", "mail")}),
    "a new member": (lambda w: people.join_group(w.group, w.bob, **WHY), {("writer", "mail")}),
    "a sponsor": (lambda w: people.disable(w.writer.sponsor, **WHY), {("writer", "mail")}),
    "an owner": (
        lambda w: people.disable(Person.objects.get(owned_agents=w.reader), **WHY),
        {("reader", "mail"), ("reader", "files")},
    ),
    "a system": (lambda w: systems.disable_system(w.files, **WHY), {("reader", "files")}),
    "a tool": (lambda w: tools.quarantine(w.tool, **WHY), {("reader", "mail"), ("writer", "mail")}),
    "a grant": (lambda w: grants.revoke(w.grant.pk, **WHY), {("reader", "mail")}),
    "a grant that is not there": (
        lambda w: write("grant", grant_id=uuid.uuid4(), agent_id=w.reader.pk),
        {("reader", "mail"), ("reader", "files")},
    ),
    "an agent": (lambda w: agents.suspend(w.reader, **WHY), {("reader", "mail"), ("reader", "files")}),
    "a script": (lambda w: clients.disable(w.script, **WHY), set()),
    "a trusted issuer": (lambda w: trust.end(w.issuer, **WHY), set()),
    "a client's session": (lambda _: write("client_session", client_session_id=uuid4()), set()),
    "a key": (lambda _: signing.rotate("as/mail", by=SYSTEM, now=True), set()),
    "everything": (lambda _: guardrails.stop_everything(**WHY), ALL),
    "what the release before writes": (lambda _: write("vault", concerns_all=True), ALL),
    "what a newer release knows": (lambda w: write("weather", agent_id=w.reader.pk), ALL),
    "a token family": (
        lambda w: write("token_family", token_family_id=uuid.uuid4(), agent_id=w.reader.pk),
        {("reader", "mail"), ("reader", "files")},
    ),
    "a person who is not there": (lambda _: write("person", person_id=10**9), ALL),
    "a grant without an agent": (lambda w: write("grant", grant_id=w.grant.pk), ALL),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_drops_the_facts_of_whom_it_names(world: World, case: str) -> None:
    act, expected = CASES[case]

    async def story(node: Node) -> None:
        held = {key: await node.snapshots.get(*key) for key in ALL}
        await done(lambda: act(world), node)
        assert {key for key, snapshot in held.items() if snapshot is None or snapshot.is_dropped} == expected
        assert {key for key in ALL if node.snapshots.current(*key) is None} == expected
        assert all([await node.snapshots.get(*key) for key in ALL])

    with_node(story)


def test_only_the_system_that_changes_and_the_client_that_changes_are_forgotten(world: World) -> None:
    token = Token("1", 0, 2**40, frozenset())
    mine, script = (Bearer("r", token, "", client, None, None) for client in ("other", world.script.client_id))

    async def story(node: Node) -> None:
        mail, files = await node.directory.get("mail"), await node.directory.get("files")
        node.bearers._keep(b"mine", mine)
        node.bearers._keep(b"script", script)
        await done(lambda: people.disable(world.alice, **WHY), node)
        await done(lambda: systems.edit_system(world.files, name="Shares", **WHY), node)
        assert await node.directory.get("mail") is mail
        assert (again := await node.directory.get("files")) is not files
        assert again is not None
        assert again.name == "Shares"
        assert set(node.bearers._checked) == {b"mine", b"script"}
        await done(lambda: clients.disable(world.script, **WHY), node)
        assert set(node.bearers._checked) == {b"mine"}
        await done(lambda: signing.rotate("as/mail", by=SYSTEM, now=True), node)
        assert node.bearers._checked == {}

    with_node(story)


def test_what_is_read_while_its_person_changes_is_not_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(node: Node) -> None:
        later = node.feed.position + 1000
        node.snapshots.drop([("person", world.alice.login)], later)
        with pytest.raises(Closed):
            await node.snapshots.get("reader", "mail")
        assert await node.snapshots.get("reader", "files")
        monkeypatch.setattr(snapshots, "_MOST_PASSED", 1)  # what is known of single ones makes room
        node.snapshots.drop([("person", world.bob.login)], later)
        with pytest.raises(Closed):
            await node.snapshots.get("writer", "mail")

    with_node(story)


def test_what_is_dropped_leaves_nothing_behind(world: World) -> None:
    async def story(node: Node) -> None:
        for key in ALL:
            await node.snapshots.get(*key)
            await node.snapshots.get(*key, fresh=True)
        held = node.snapshots.current("writer", "mail")
        assert held is not None
        await node.snapshots.know_person(held, world.bob.login)
        assert len(node.snapshots) == len(ALL)
        await done(lambda: people.disable(world.bob, **WHY), node)
        assert held.is_dropped
        await done(lambda: guardrails.stop_everything(**WHY), node)
        assert (len(node.snapshots), node.snapshots._of, node.snapshots._held) == (0, {}, {})

    with_node(story)


def test_facts_that_are_dropped_whenever_they_are_looked_at_decide_nothing(world: World) -> None:  # noqa: ARG001 - rows
    async def story(node: Node) -> None:
        async def replace(_: SnapshotInUse) -> bool:
            await node.snapshots.get("reader", "mail", fresh=True)
            return True

        with pytest.raises(Closed):
            await node.snapshots.get_with("reader", "mail", replace)

    with_node(story)
