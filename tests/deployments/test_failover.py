"""PostgreSQL under Patroni fails over while agents call, clients get tokens and people revoke."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import LazySettings as Settings
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from audit import clock, verify
from audit.actions import Action
from audit.database import replication
from audit.export import jsonl
from audit.models import Event, Pending
from entitlements.clients.models import Client
from entitlements.feed.models import Change, GatewayNode
from entitlements.grants.models import Grant
from entitlements.revocation.models import Revocation
from entitlements.tokens.models import IssuedToken
from governance import env
from governance.operations import invariants
from tests import waits
from tests.architecture import tree
from tests.deployments import clients, load
from tests.deployments.patroni import ETCD, PATRONI, SPEAKS_TO_ETCD, Cluster, patroni
from tests.deployments.pgbouncer import PROGRAM, Pooler, pgbouncer
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.world import Gateway

UNSENT = 0.5
"""Seconds before its loss in which the primary sends nothing to the standby: without waiting it would answer all."""
REVOKED = 20
"""How many grants are revoked before, and around, each failover."""
KEPT = 2
"""Grants that are not revoked, by which it shows that calls are allowed again."""
ROLES = ("mandate_app", "mandate_issue", "mandate_seal")

pytestmark = [
    pytest.mark.timeout(480),
    pytest.mark.skipif(
        None in (PATRONI, ETCD, PROGRAM) or not SPEAKS_TO_ETCD,
        reason="there is no Patroni, etcd or PgBouncer: apt-get install patroni python3-etcd etcd-server pgbouncer",
    ),
]


@pytest.fixture(scope="module")
def cluster(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Cluster]:  # noqa: ARG001
    with patroni() as running, django_db_blocker.unblock(), here(row(running.url("mandate_app"))):
        yield running


@pytest.fixture(scope="module")
def pooler(cluster: Cluster) -> Iterator[Pooler]:
    primary = cluster.primary
    assert primary is not None
    roles = [cluster.url(role, primary.address) for role in ROLES]
    with pgbouncer(*roles[1:], app=roles[0], database="mandate") as running:
        cluster.point(running.log.parent)
        yield running


def row(address: str) -> dict[str, Any]:
    """Return Django's entry for an address, as the settings make it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", address)
        return {**connections["default"].settings_dict, **env.database("DATABASE_URL")}


@contextlib.contextmanager
def here(entry: dict[str, Any]) -> Iterator[None]:
    """Let this thread use a database until the block ends."""
    direct = connections["default"]
    connections["default"] = other = type(direct)(entry, "default")
    try:
        yield
    finally:
        other.close()
        connections["default"] = direct


def serving(cluster: Cluster, pooler: Pooler | None) -> dict[str, Any]:
    """Return the addresses of a node: each names both servers, or leads through the pooler but for the feed."""
    direct = {role: cluster.url(role) for role in ROLES}
    app, issue, seal = (pooler.of(cluster.url(role, "x")) if pooler else direct[role] for role in ROLES)
    told = {"DATABASE_URL": app, "ISSUE_DATABASE_URL": issue, "SEAL_DATABASE_URL": seal}
    return {**told, "FEED_DATABASE_URL": direct["mandate_app"]}


def test_of_two_servers_the_one_that_takes_writes_is_used_and_a_standby_is_refused(cluster: Cluster) -> None:
    primary = cluster.primary
    assert primary is not None
    (standby,) = [each for each in cluster.servers if each is not primary]
    both = row(cluster.url("mandate_app", f"127.0.0.1:1,{standby.address},{primary.address}"))
    with here(both), connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        assert cursor.fetchone() == (False,)
    (problem,) = replication.problems(row(cluster.url("mandate_app", standby.address)), both)
    assert problem.check == "mandate.E017"


def test_nothing_starts_where_a_failover_would_bring_revoked_rights_back(cluster: Cluster, settings: Settings) -> None:
    both = row(cluster.url("mandate_app"))
    assert replication.problems(both) == []
    with psycopg.connect(cluster.admin, autocommit=True) as admin:
        before = replication.of(admin.execute(replication.STATE).fetchone()).standbys
        admin.execute("SELECT pg_create_physical_replication_slot('away')")
        assert replication.of(admin.execute(replication.STATE).fetchone()).standbys == before + 1
        admin.execute("SELECT pg_drop_replication_slot('away')")
    cluster.configure(synchronous_mode=False)
    cluster.wait(lambda: bool(replication.problems(both)))
    given = {**os.environ, **serving(cluster, None), "SEAL_KEY_FILE": "/nowhere", "ANCHOR_FILE": "/nowhere"}
    start = {
        "web": "import governance.web",
        "edge": "import governance.asgi",
        "worker": "from governance.celery import app; app.Worker()",
    }
    started = {
        name: subprocess.Popen([sys.executable, "-c", code], cwd=tree.ROOT, env=given, stderr=subprocess.PIPE)
        for name, code in start.items()
    }
    said = {
        name: (each.communicate(timeout=waits.SECONDS)[1].decode(), each.returncode) for name, each in started.items()
    }
    assert {name for name, (text, code) in said.items() if code and "mandate.E016: Commits are asyn" in text} == set(
        start
    ), said
    settings.DATABASE_FAILOVER = "no"
    assert replication.problems(both) == []
    settings.DATABASE_FAILOVER = "auto"
    cluster.configure(synchronous_mode=True)
    cluster.wait(lambda: cluster.is_synchronous and not replication.problems(both))


@dataclass
class Installation:
    """Two nodes, one of them behind PgBouncer, and a sealer."""

    cluster: Cluster
    nodes: dict[str, Gateway]
    folder: Path
    pooled: str
    """The address behind PgBouncer of the role that serves."""


@pytest.fixture
def installation(cluster: Cluster, pooler: Pooler, tmp_path: Path) -> Iterator[Installation]:
    with contextlib.ExitStack() as stack:
        direct = stack.enter_context(world.gateway("node-direct", more=(), only=None, **serving(cluster, None)))
        pooled = stack.enter_context(world.gateway("node-pooled", more=(), only=None, **serving(cluster, pooler)))
        places = {"ANCHOR_FILE": str(tmp_path / "anchor"), "SEAL_KEY_FILE": str(tmp_path / "seal.pem")}
        given = {**os.environ, **serving(cluster, pooler), **places}
        sealer = subprocess.Popen([sys.executable, "manage.py", "seal"], cwd=tree.ROOT, env=given)
        try:
            nodes = {"node-direct": direct, "node-pooled": pooled}
            yield Installation(cluster, nodes, tmp_path, given["DATABASE_URL"])
        finally:
            sealer.terminate()
            sealer.wait(waits.SECONDS)


@pytest.mark.parametrize("failovers", [1, pytest.param(3, marks=pytest.mark.soak)])
def test_a_failover_under_load_loses_no_answered_revocation_and_allows_nothing_after_it(
    installation: Installation, failovers: int
) -> None:
    """The long form waits for the lost primary's lease in etcd, as production does, and fails over again and back."""
    cluster, nodes = installation.cluster, installation.nodes
    with scripted.upstream() as upstream:
        worlds = [world.build(upstream.url) for _ in range(KEPT + REVOKED * (failovers + 1))]
        first = clients.trusted(world.build(upstream.url), nodes["node-direct"].base)
        issuers = {name: replace(first, http=remote(node.base)) for name, node in nodes.items()}
        traffic = load.Load(worlds, [each.token() for each in worlds])
        began = clock.now()  # the tokens above were signed by the test, without an event
        databases = [row(serving(cluster, None)["DATABASE_URL"]), row(installation.pooled)]
        with traffic.running(nodes, issuers, databases, KEPT):
            traffic.most = REVOKED
            cluster.wait(lambda: len(traffic.receipts) > 4 and len(traffic.issued) > 8)
            for _ in range(failovers):
                fail_over(cluster, traffic, quickly=failovers == 1)
            time.sleep(2)
    nothing_is_lost(traffic)
    nothing_was_allowed_after_its_receipt(traffic)
    tokens_are_issued_once(traffic, first.client)
    the_feed_goes_on(nodes)
    the_log_verifies(installation)
    found = [finding for finding in invariants.check(began) if finding.count]
    assert found == []


def remote(base: str) -> Any:  # noqa: ANN401 - it posts as a browser of Django's does, over the wire
    return clients.Remote(base)


def fail_over(cluster: Cluster, traffic: load.Load, *, quickly: bool) -> None:
    """Lose the primary, and wait until everything works again."""
    for server in cluster.servers:
        if not server.is_running:
            server.start()
    cluster.wait(lambda: cluster.is_synchronous)
    lost = cluster.primary
    assert lost is not None
    traffic.most = len(traffic.receipts) + REVOKED
    time.sleep(UNSENT)
    lost.send_no_more()
    time.sleep(UNSENT)
    lost.kill()
    gone = time.monotonic()
    if quickly:
        cluster.end_lease()
    seen = len(traffic.receipts)

    def is_back() -> bool:
        allowed = {call.node for call in traffic.calls if call.began > gone and not call.code}
        issued = {node for node, at, _ in traffic.issued if at > gone + 1}
        return len(allowed) == len(issued) == 2 and len(traffic.receipts) > seen + 2

    cluster.wait(is_back)
    print(f"back after {time.monotonic() - gone:.1f} s")  # noqa: T201 - the figure is the point


def nothing_is_lost(traffic: load.Load) -> None:
    """What was answered before the failover stands on the server that took over."""
    connections["default"].close()
    assert len(traffic.receipts) > 8
    for nth, (_, answered) in traffic.receipts.items():
        grant = Grant.objects.get(pk=traffic.worlds[nth].grant.pk)
        assert grant.state == Grant.State.REVOKED
        kept = Revocation.objects.get(pk=answered.pk)
        assert (kept.receipt, kept.position) == (answered.receipt, answered.position)
        assert Change.objects.get(seq=answered.position).pk == answered.change_id


def nothing_was_allowed_after_its_receipt(traffic: load.Load) -> None:
    late = [
        call
        for call in traffic.calls
        if call.world in traffic.receipts and call.began > traffic.receipts[call.world][0] and not call.code
    ]
    assert late == []
    assert any(call.code == "" for call in traffic.calls)


def tokens_are_issued_once(traffic: load.Load, client: Client) -> None:
    stored = [str(jti) for jti in IssuedToken.objects.filter(client=client).values_list("pk", flat=True)]
    answered = [jti for _, _, jti in traffic.issued]
    assert len(set(answered)) == len(answered)
    assert set(answered) <= set(stored)
    assert Event.objects.filter(action=Action.TOKEN_ISSUED).count() == len(stored)


def the_feed_goes_on(nodes: dict[str, Gateway]) -> None:
    """Each node has applied all there is, and numbers went on where they were or further."""
    newest = Change.objects.order_by("-seq").values_list("seq", flat=True).first()
    waits.until(lambda: {n.position for n in GatewayNode.objects.filter(pk__in=nodes)} == {newest})
    in_order = list(Change.objects.order_by("pk").values_list("seq", flat=True))
    assert all(seq is not None for seq in in_order)


def the_log_verifies(installation: Installation) -> None:
    waits.until(lambda: not Pending.objects.exists())
    time.sleep(1.5)  # the last checkpoint is on its way to the anchor
    export = installation.folder / "export.jsonl"
    export.write_bytes(b"".join(jsonl.lines()))
    key = (installation.folder / "seal.vkey").read_text().strip()
    command = [sys.executable, verify.__file__, str(export), "--checkpoint", str(installation.folder / "anchor")]
    done = subprocess.run([*command, "--key", key], capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stdout[:7]) == (0, "PROVEN:"), done.stdout
