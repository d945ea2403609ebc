"""The product behind a real PgBouncer in transaction mode, with the configuration of docs/operate/scaling.md."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event, Leaf, Pending
from entitlements import tasks
from entitlements.edge.database.writer import Writer
from entitlements.feed import changes
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.node.refusals import Closed
from entitlements.node_feed.feed import Feed
from entitlements.people import people
from entitlements.tokens import issue_token
from governance.reviews.pack import seal
from governance.reviews.pack.models import EvidencePack
from tests import databases, make, waits
from tests.architecture import tree
from tests.audit.make import Archive
from tests.deployments.clients import code_of, trusted
from tests.deployments.pgbouncer import PROGRAM, SHARED, Pooler, pgbouncer
from tests.deployments.test_queue_faults import due
from tests.entitlements.tokens import nodes
from tests.governance import companies
from tests.governance.reviews import worlds as reviews
from tests.nodes.attacks.web import web
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.world import Gateway

_LEFT_BEHIND = """
SELECT current_setting('synchronous_commit'), current_setting('statement_timeout'),
       current_setting('default_transaction_read_only'),
       ARRAY(SELECT channel FROM pg_listening_channels() AS channel WHERE channel !~ '^mandate_probe_')
"""
_LENT = """
SELECT count(*) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()
"""
_CUT_WHO_WAITS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND wait_event_type = 'Lock'
"""
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no pgbouncer: install it (apt-get install pgbouncer)")


@pytest.fixture(scope="module")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:  # noqa: ARG001
    """Open the database for the module: the processes see only what is committed."""
    with databases.emptied(django_db_blocker):
        yield


@pytest.fixture(scope="module")
def pooler(database: None) -> Iterator[Pooler]:  # noqa: ARG001
    with pgbouncer() as running:
        yield running


@pytest.fixture(scope="module")
def node(pooler: Pooler) -> Iterator[Gateway]:
    """Run a gateway that uses the pooler for everything but its feed."""
    with world.gateway(
        "node-pooled",
        DATABASE_URL=pooler.address,
        ISSUE_DATABASE_URL=pooler.issuers,
        FEED_DATABASE_URL=databases.addresses().app,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def console(pooler: Pooler, node: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("web") / "log"
    with web(log, DATABASE_URL=pooler.address, RELAY_URL=node.base) as address:
        yield address


@pytest.fixture(scope="module")
def upstream() -> Iterator[scripted.Scripted]:
    with scripted.upstream() as server:
        yield server


@pytest.fixture
def here_pooled(pooler: Pooler) -> Iterator[None]:
    """Let this process use the pooler too."""
    with pooler.for_this_process():
        yield


@pytest.mark.usefixtures("here_pooled")
def test_tokens_calls_revocations_and_jobs_work_through_a_transaction_pooler(
    pooler: Pooler, node: Gateway, console: str, upstream: scripted.Scripted
) -> None:
    here = world.build(upstream.url)
    ana = make.analyst()
    token = trusted(here, console).access_token()
    assert [code_of(node.call(here, token)) for _ in range(3)] == [""] * 3

    signed_in = {"Authorization": f"Bearer {people.make_api_token(ana, 'laptop', by=SYSTEM)}"}
    asked = {"target": {"type": "grant", "id": str(here.grant.pk)}, "reason": "leak", "wait": True}
    receipt = httpx2.post(f"{console}/api/v1/revocations", json=asked, headers=signed_in, timeout=waits.SECONDS)
    assert receipt.status_code == 201, receipt.text
    assert [each["node"] for each in receipt.json()["acknowledged"]] == ["node-pooled"]
    assert code_of(node.call(here, token)) == "no_grant"

    over = due(3)
    tasks.expire_grants()
    assert {grant.state for grant in Grant.objects.filter(pk__in=over)} == {Grant.State.EXPIRED}
    actions = {event.action for event in here.events()}
    assert {"token.issued", "call.allowed", "call.finished", "grant.revoked", "call.denied"} <= actions
    assert "unsupported startup parameter" not in pooler.log.read_text()


def test_a_call_is_refused_in_time_while_the_pooler_stalls_and_the_node_heals(
    pooler: Pooler, node: Gateway, upstream: scripted.Scripted
) -> None:
    here, other = world.build(upstream.url), world.build(upstream.url)
    known, unknown = here.token(), other.token()
    assert code_of(node.call(here, known)) == ""
    pooler.process.send_signal(signal.SIGSTOP)
    try:
        refused = node.call(other, unknown)
        assert (refused.status_code, code_of(refused)) == (503, "feed_unknown")
    finally:
        pooler.process.send_signal(signal.SIGCONT)
    waits.until(lambda: code_of(node.call(other, unknown)) == "")
    assert [code_of(node.call(*each)) for each in ((here, known), (other, unknown))] == ["", ""]


def refusal(producer: UUID) -> list[Any]:
    return issue_token.refuse(nodes.event(Action.TOKEN_REFUSED, code="no_grant"), producer)


def numbers() -> dict[UUID, list[int]]:
    """Return the numbers of what was recorded, in order, by producer."""
    found = dict[UUID, list[int]]()
    for producer, number in Event.objects.order_by("sequence").values_list("producer", "sequence"):
        found.setdefault(producer, []).append(number)
    return found


def test_issuers_number_what_they_write_whichever_connection_they_are_lent(pooler: Pooler) -> None:
    databases.empty()
    lines, writes = 2 * SHARED, 16 * SHARED

    async def issue() -> None:
        writer = Writer(pooler.issuers, lines=lines)
        try:
            for _ in range(2):
                answers = [asyncio.ensure_future(writer.write(refusal, 1)) for _ in range(writes)]
                with psycopg.connect(os.environ["MIGRATE_DATABASE_URL"]) as held:
                    held.execute("LOCK TABLE pending IN EXCLUSIVE MODE")  # so that several wait at once
                    await asyncio.sleep(0.3)
                assert {each.outcome for each in await asyncio.gather(*answers)} == {issue_token.Outcome.REFUSED}
        finally:
            await writer.close()

    asyncio.run(issue())
    with psycopg.connect(databases.addresses().issue) as connection:
        lent = connection.execute(_LENT).fetchone()
    assert lent is not None
    assert 1 < lent[0] <= SHARED, "fewer connections than lines: so they were lent in turn"
    found = numbers()
    assert (len(found), sum(map(len, found.values()))) == (lines, 2 * writes)
    assert all(each == [*range(1, len(each) + 1)] for each in found.values())


def test_a_write_whose_connection_ends_behind_the_pooler_is_in_doubt_and_its_producer_ends(pooler: Pooler) -> None:
    databases.empty()

    def is_cut() -> bool:
        with psycopg.connect(databases.addresses().issue, autocommit=True) as role:
            return role.execute(_CUT_WHO_WAITS).rowcount == 1

    async def issue() -> None:
        writer = Writer(pooler.issuers, lines=1)
        try:
            await writer.write(refusal, 1)
            async with await psycopg.AsyncConnection.connect(databases.addresses().owner) as holder:
                await holder.execute("SELECT FROM producers FOR UPDATE")
                cut = asyncio.create_task(writer.write(refusal, 1))
                await asyncio.to_thread(waits.until, is_cut)
                with pytest.raises(Closed):
                    await cut
            await writer.write(refusal, 1)
        finally:
            await writer.close()

    asyncio.run(asyncio.wait_for(issue(), waits.SECONDS))
    marker = Event.objects.get(action=Action.PRODUCER_ENDED)
    found = numbers()
    assert found.pop(marker.producer) == [1, 2], "the end of the one before, and then what was asked for"
    assert {str(producer): each for producer, each in found.items()} == {marker.detail["producer"]: [1]}
    assert (marker.detail["committed"], marker.detail["attempted"]) == (1, 2)


@pytest.mark.parametrize(("name", "hears"), [("mandate", False), ("by_session", True)])
def test_a_feed_through_a_pooler_knows_whether_it_hears_and_obeys_a_revocation_in_any_case(
    pooler: Pooler, name: str, *, hears: bool
) -> None:
    grant, seen = make.grant(), list[Any]()

    def revoke() -> list[dict[str, object]]:
        grants.revoke(grant.pk, by=SYSTEM, reason="leak")
        acknowledged, missing = changes.wait_for_nodes(changes.position(None), time.monotonic())
        connections.close_all()
        return [*acknowledged, *missing]

    async def follow() -> None:
        feed = Feed(databases.at(pooler.address, name), "node-in-test", seen.append)
        await feed.start()
        try:
            assert (feed.is_alive, feed.is_listening) == (True, hears)
            (answer,) = [each for each in await asyncio.to_thread(revoke) if each["node"] == feed.node]
            assert "after_ms" in answer, "it acknowledged within its lease"
        finally:
            await feed.stop()

    asyncio.run(follow())
    assert ("grant", grant.agent.slug) in {
        (change.kind, change.agent) for batch in seen if batch is not None for change in batch
    }
    with contextlib.ExitStack() as stack:
        for _ in range(SHARED):  # each transaction holds one of the shared connections: so all of them are looked at
            client = stack.enter_context(psycopg.connect(pooler.address))
            assert client.execute(_LEFT_BEHIND).fetchone() == ("on", "0", "off", [])


def test_the_sealer_writes_through_the_pooler_and_refuses_to_hold_its_lock_there(
    pooler: Pooler, tmp_path: Path
) -> None:
    databases.empty()
    make.analyst()
    given = {
        **os.environ,
        "DATABASE_URL": pooler.address,
        "SEAL_DATABASE_URL": pooler.of(databases.addresses().seal),
        "ANCHOR_FILE": str(tmp_path / "anchor"),
        "SEAL_KEY_FILE": str(tmp_path / "seal.pem"),
    }

    def seal_once(**more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", "seal", "--once"]
        return subprocess.run(
            command, cwd=tree.ROOT, env={**given, **more}, capture_output=True, text=True, check=False
        )

    refused = seal_once()
    assert refused.returncode, refused.stderr
    assert "A pooler stands between the sealer and PostgreSQL" in refused.stderr
    assert seal_once(FEED_DATABASE_URL=databases.addresses().app).returncode == 0
    assert (Pending.objects.count(), Leaf.objects.count()) == (0, Event.objects.count())


@pytest.mark.usefixtures("here_pooled")
def test_evidence_is_sealed_by_one_worker_through_the_pooler(tmp_path: Path) -> None:
    databases.empty()
    archive = Archive(tmp_path, Ed25519PrivateKey.generate())
    company = companies.found()
    campaign = reviews.closed(company)
    archive.seal()
    seal.seal(campaign.pk, by=company.ana, statement=reviews.SIGNED)
    with seal._exclusive() as mine:
        assert mine
        assert not seal.resume(campaign.pk), "another worker is at a pack"
    archive.seal()
    assert seal.resume(campaign.pk)
    pack = EvidencePack.objects.get(campaign=campaign)
    assert hashlib.sha256(b"".join(pack.archive())).hexdigest() == pack.sha256
