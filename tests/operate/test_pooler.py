"""The product behind a real PgBouncer in transaction mode, with the configuration of docs/operate/scaling.md."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from entitlements import tasks
from entitlements.feed import changes
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.node.feed import Feed
from entitlements.people import people
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.reviews.pack import seal
from governance.reviews.pack.models import EvidencePack
from scripts.devservers import Account, free_port
from tests import databases, make
from tests.architecture import tree
from tests.attacks.web import web
from tests.audit.make import Archive
from tests.entitlements.edge import worlds as oauth
from tests.entitlements.gateway import scripted, world
from tests.entitlements.gateway.world import Gateway
from tests.governance import companies
from tests.governance.reviews import worlds as reviews
from tests.journeys.test_queue_faults import due

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SHARED = 4
"""Connections for all processes together, so that they do share them."""
_LEFT_BEHIND = """
SELECT current_setting('synchronous_commit'), current_setting('statement_timeout'),
       current_setting('default_transaction_read_only'),
       ARRAY(SELECT channel FROM pg_listening_channels() AS channel WHERE channel !~ '^mandate_probe_')
"""
pytestmark = [
    pytest.mark.loopback,
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="there is no pgbouncer: install it (apt-get install pgbouncer)"),
]


def documented() -> configparser.ConfigParser:
    """Return the configuration that the documentation shows."""
    page = (tree.ROOT / "docs/operate/scaling.md").read_text(encoding="utf-8")
    shown = configparser.ConfigParser(interpolation=None)
    shown.read_string(page.partition("```ini\n")[2].partition("```")[0])
    return shown


@dataclass
class Pooler:
    """PgBouncer in front of this process's database."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        """Where the role that serves connects."""
        parts = urlsplit(databases.addresses().app)
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@127.0.0.1:{self.port}", path="/mandate").geturl()


@contextlib.contextmanager
def pgbouncer() -> Iterator[Pooler]:
    """Run PgBouncer until the block ends, as an ordinary user: it refuses root."""
    account, server, port = Account(), urlsplit(databases.addresses().app), free_port()
    with tempfile.TemporaryDirectory(prefix="mandate-pooler-") as made:
        folder = Path(made)
        config = documented()
        where = f"host={server.hostname} port={server.port} dbname={databases.here()}"
        config["databases"] = {"mandate": where, "by_session": f"{where} pool_mode=session"}
        config["pgbouncer"].update(
            {
                "listen_addr": "127.0.0.1",
                "listen_port": str(port),
                "unix_socket_dir": "",
                "auth_file": str(folder / "userlist.txt"),
                "default_pool_size": str(SHARED),
            }
        )
        (folder / "userlist.txt").write_text(f'"{server.username}" "{server.password}"\n')
        with (folder / "pgbouncer.ini").open("w") as file:
            config.write(file)
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.uid, account.gid)
        log = folder / "log"
        with log.open("wb") as out:
            process = account.popen([str(PROGRAM), str(folder / "pgbouncer.ini")], stdout=out, stderr=out)
        pooler = Pooler(port, process, log)
        try:
            world.wait_until(lambda: answers(pooler))
            yield pooler
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(10)


def answers(pooler: Pooler) -> bool:
    assert pooler.process.poll() is None, pooler.log.read_text()
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(pooler.address):
        return True
    return False


@pytest.fixture(scope="module")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:  # noqa: ARG001
    """Open the database for the module: the processes see only what is committed."""
    with django_db_blocker.unblock():
        yield
        databases.empty()


@pytest.fixture(scope="module")
def pooler(database: None) -> Iterator[Pooler]:  # noqa: ARG001
    with pgbouncer() as running:
        yield running


@pytest.fixture(scope="module")
def node(pooler: Pooler) -> Iterator[Gateway]:
    """Run a gateway that uses the pooler for everything but its feed."""
    direct = databases.addresses().app
    with world.gateway("node-pooled", DATABASE_URL=pooler.address, FEED_DATABASE_URL=direct) as running:
        yield running


@pytest.fixture(scope="module")
def console(pooler: Pooler, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with web(tmp_path_factory.mktemp("web") / "log", DATABASE_URL=pooler.address) as address:
        yield address


@pytest.fixture(scope="module")
def upstream() -> Iterator[scripted.Scripted]:
    with scripted.upstream() as server:
        yield server


@pytest.fixture
def here_pooled(pooler: Pooler) -> Iterator[None]:
    """Let this process use the pooler too."""
    direct = connections["default"]
    parts = urlsplit(pooler.address)
    row = {**direct.settings_dict, "HOST": "127.0.0.1", "PORT": str(parts.port), "NAME": "mandate"}
    connections["default"] = pooled = type(direct)(row, "default")
    try:
        yield
    finally:
        pooled.close()
        connections["default"] = direct


class Remote:
    """Posts the forms of a `worlds.World` to a web process."""

    def __init__(self, base: str) -> None:
        self.base = base

    def post(self, path: str, body: str, *, content_type: str, headers: Mapping[str, str]) -> httpx2.Response:
        sent = {"Content-Type": content_type, **headers}
        return httpx2.post(f"{self.base}{path}", content=body.encode(), headers=sent, timeout=20)


def issuing(here: world.World, base: str) -> oauth.World:
    """Give the world's agent a client that can sign, and trust a company sign-in, so that `base` issues tokens."""
    stub_key, client_key = oauth.new_key("stub"), oauth.new_key("c1")
    client, _ = make.client(here.agent, "pooled-client", jwks=oauth.key_set(client_key))
    issuer = TrustedIssuer.objects.create(
        issuer=oauth.STUB,
        purpose=TrustedIssuer.Purpose.IDENTITY,
        jwks=oauth.key_set(stub_key),
        algorithms=["ES256"],
    )
    people.link_identity(here.person, issuer, "u-alice", by=SYSTEM)
    remote: Any = Remote(base)
    return oauth.World(
        *(here.person, here.agent, client, here.system, here.entitlement, here.grant, issuer),
        *(client_key, stub_key, remote),
    )


def code_of(answer: httpx2.Response) -> str:
    """Return the code of a denial; empty for an allowed call."""
    body = answer.json()
    denial = body["error"]["data"] if "error" in body else body["result"].get("_meta", {}).get("mandate/denial", {})
    return str(denial.get("code", ""))


@pytest.mark.usefixtures("here_pooled")
def test_tokens_calls_revocations_and_jobs_work_through_a_transaction_pooler(
    pooler: Pooler, node: Gateway, console: str, upstream: scripted.Scripted
) -> None:
    here = world.build(upstream.url)
    ana = make.analyst()
    token = issuing(here, console).access_token()
    assert [code_of(node.call(here, token)) for _ in range(3)] == [""] * 3

    signed_in = {"Authorization": f"Bearer {people.make_api_token(ana, 'laptop', by=SYSTEM)}"}
    asked = {"target": {"type": "grant", "id": str(here.grant.pk)}, "reason": "leak", "wait": True}
    receipt = httpx2.post(f"{console}/api/v1/revocations", json=asked, headers=signed_in, timeout=20)
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
        began = time.monotonic()
        refused = node.call(other, unknown)
        assert (refused.status_code, code_of(refused)) == (503, "feed_unknown")
        assert time.monotonic() - began < 2.6
    finally:
        pooler.process.send_signal(signal.SIGCONT)
    world.wait_until(lambda: code_of(node.call(other, unknown)) == "", 10)
    assert [code_of(node.call(*each)) for each in ((here, known), (other, unknown))] == ["", ""]


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
