"""Several worker processes on one port: each is a node of its own, and one listener reads the change feed for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from audit.context import SYSTEM
from entitlements.feed.models import GatewayNode
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from scripts.devservers import free_port
from tests import databases, envoy, waits
from tests.conformance import servers
from tests.conformance.test_two_nodes import session
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.world import Gateway, World

NAMES = ["host/1", "host/2"]
_FEEDS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mandate-feed' AND datname = current_database()"
)


@pytest.fixture(scope="module")
def host(alone: None) -> Iterator[Gateway]:  # noqa: ARG001
    """Run two workers on one port."""
    with world.gateway("host", more=("--workers", "2")) as running:
        waits.until(lambda: len(workers(running)) == 2)
        yield running


@pytest.fixture
def here(host: Gateway, time_server: servers.Upstream) -> World:  # noqa: ARG001 - the workers must run
    return world.build(time_server.url, time_server.secret)


def workers(host: Gateway) -> dict[str, int]:
    """Return the process of each worker that serves, by its name, as their own health pages say."""
    children = Path(f"/proc/{host.child.pid}/task/{host.child.pid}/children").read_text().split()
    found = {}
    for child in children:
        command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if "--worker" in command:  # else it has just begun, and is not yet another program
            found[command[command.index("--worker") + 1]] = int(child)
    alive = set(GatewayNode.objects.filter(stopped_at=None, pk__in=found).values_list("pk", flat=True))
    return {name: pid for name, pid in found.items() if name in alive}


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process, as a machine that swaps or a debugger does."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def clients(host: Gateway) -> Iterator[dict[str, httpx2.Client]]:
    """Keep a connection to each worker: the kernel chooses who gets one, so open some until both have."""
    with contextlib.ExitStack() as stack:
        yield dict(connected(host, stack))


def connected(host: Gateway, stack: contextlib.ExitStack) -> Iterator[tuple[str, httpx2.Client]]:
    missing, end = set(NAMES), time.monotonic() + waits.SECONDS
    while missing:
        assert time.monotonic() < end, missing
        client = stack.enter_context(httpx2.Client(base_url=host.base, timeout=waits.SECONDS))
        name = client.get("/readyz").json()["node"]
        if name in missing:
            missing.remove(name)
            yield name, client


def outcome(client: httpx2.Client, here: World, token: str) -> tuple[int, str]:
    """Call the tool; returns the status and the code of a denial."""
    host = Gateway(str(client.base_url).rstrip("/"), None)  # type: ignore[arg-type]  # it is not asked for its process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx2, "post", lambda url, verify, **sent: client.post(url, **sent))  # noqa: ARG005
        answer = host.call(here, token)
    body = answer.json()
    denied = body["error"]["data"] if "error" in body else body["result"].get("_meta", {}).get("mandate/denial", {})
    return answer.status_code, str(denied.get("code", ""))


def revoke(here: World) -> Revocation:
    return revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason="stolen")


def named(rows: list[dict[str, object]]) -> list[str]:
    return sorted(str(each["node"]) for each in rows if str(each["node"]).startswith("host/"))


@pytest.mark.timeout(150)
def test_a_worker_that_cannot_start_ends_the_whole_with_its_sentence() -> None:
    command = [sys.executable, "-m", "governance.edge", "--workers", "2", "--port", str(free_port())]
    environment = {**os.environ, "EDGE_ROLES": "issuer,something", "DEMO": "1"}
    ended = subprocess.run(
        command, cwd=world.ROOT, env=environment, capture_output=True, timeout=waits.SECONDS, check=False
    )
    assert ended.returncode not in {0, None}
    assert b"an edge process has the roles issuer, gateway, or one of them" in ended.stderr


def test_a_worker_for_which_there_is_no_process_ends_the_host_only_where_none_ever_ran(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from governance import edge_host  # noqa: PLC0415 - the settings are known only now

    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    async def keep(*started: str) -> tuple[bool, int]:
        host = edge_host.Host(1, [], 1.0)
        host._started.update(started)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(host._keep("host/1"), waits.MOMENT)
        return host._is_stopping.is_set(), host._status

    assert asyncio.run(keep()) == (True, 1)
    assert asyncio.run(keep("host/1")) == (False, 0), "it tries again after a moment"


@pytest.mark.usefixtures("host")
def test_a_receipt_names_each_worker_and_none_allows_the_next_call(
    here: World, clients: dict[str, httpx2.Client]
) -> None:
    token = here.token()
    assert {outcome(each, here, token) for each in clients.values()} == {(200, "")}

    receipt = revoke(here)

    assert {outcome(each, here, token) for each in clients.values()} == {(200, "no_grant")}
    assert (named(receipt.acknowledged), receipt.missing) == (NAMES, [])
    with psycopg.connect(databases.addresses().owner) as owner:
        assert owner.execute(_FEEDS).fetchone() == (1,)


@pytest.mark.usefixtures("host")
def test_each_worker_tells_the_numbers_of_all(here: World, clients: dict[str, httpx2.Client]) -> None:
    token = here.token()
    for each in clients.values():
        outcome(each, here, token)
    time.sleep(0.6)  # the next poll carries them
    for each in clients.values():
        said = each.get("/metrics").text
        assert set(re.findall(r'^mandate_lease_age_seconds{worker="(\d)"}', said, re.MULTILINE)) == {"1", "2"}
        allowed = re.findall(r'^mandate_decisions_total{.*effect="allow",worker="(\d)"} [1-9]', said, re.MULTILINE)
        assert set(allowed) == {"1", "2"}


def test_a_worker_that_hangs_is_missing_refuses_when_it_wakes_and_holds_up_nobody(
    host: Gateway, here: World, clients: dict[str, httpx2.Client]
) -> None:
    token = here.token()
    assert {outcome(each, here, token) for each in clients.values()} == {(200, "")}
    with frozen(workers(host)["host/2"]):
        receipt = revoke(here)
        assert (named(receipt.acknowledged), named(receipt.missing)) == (["host/1"], ["host/2"])
        assert outcome(clients["host/1"], here, token) == (200, "no_grant")
    assert outcome(clients["host/2"], here, token) in {(503, "lease_lapsed"), (200, "no_grant")}
    waits.until(lambda: outcome(clients["host/2"], here, token) == (200, "no_grant"))


def test_a_listener_that_hangs_closes_every_worker_within_two_seconds(
    host: Gateway, here: World, clients: dict[str, httpx2.Client]
) -> None:
    token = here.token()
    with frozen(host.child.pid):
        time.sleep(2.1)
        assert {outcome(each, here, token) for each in clients.values()} == {(503, "lease_lapsed")}
        receipt = revoke(here)
        assert named(receipt.acknowledged) == []
    waits.until(lambda: {outcome(each, here, token) for each in clients.values()} == {(200, "no_grant")})


def test_a_worker_that_dies_is_replaced_and_no_revocation_waits_for_it(host: Gateway, here: World) -> None:
    token, before = here.token(), workers(host)
    os.kill(before["host/1"], signal.SIGKILL)

    receipt = revoke(here)

    assert named(receipt.acknowledged) == ["host/2"]
    waits.until(lambda: set(workers(host)) == set(NAMES))
    assert workers(host)["host/1"] != before["host/1"]
    assert workers(host)["host/2"] == before["host/2"]
    with contextlib.ExitStack() as stack:
        assert {outcome(each, here, token) for _, each in connected(host, stack)} == {(200, "no_grant")}


@pytest.mark.soak
@pytest.mark.timeout(60)
def test_a_worker_that_hangs_for_long_is_replaced(host: Gateway) -> None:
    before = workers(host)
    with frozen(before["host/2"]):
        waits.until(lambda: workers(host).get("host/2") not in {None, before["host/2"]})
    assert workers(host)["host/1"] == before["host/1"]


def test_a_session_of_2025_behind_envoy_is_served_by_both_workers(
    host: Gateway, here: World, tmp_path: Path, clients: dict[str, httpx2.Client]
) -> None:
    token = here.token()

    async def forty(base: str) -> list[bool]:
        async with session(base, here, token) as client:
            calls = (client.call_tool(here.tool.name, here.arguments) for _ in range(40))
            return [result.is_error for result in await asyncio.gather(*calls)]

    before = {name: allowed(client) for name, client in clients.items()}
    with envoy.balancing(tmp_path, urlsplit(host.base).port or 0) as balancer:
        assert asyncio.run(forty(balancer.base)) == [False] * 40
    served = {name: allowed(client) - before[name] for name, client in clients.items()}
    assert sum(served.values()) == 40
    assert min(served.values()) > 0, served


def allowed(client: httpx2.Client) -> int:
    """Return how many calls the worker at the other end has allowed."""
    own = client.get("/readyz").json()["node"].partition("/")[2]
    found = re.findall(
        rf'^mandate_decisions_total{{.*effect="allow",worker="{own}"}} (\d+)', client.get("/metrics").text, re.MULTILINE
    )
    return int(found[0]) if found else 0


def test_a_stop_lets_calls_finish_and_ends_all(host: Gateway) -> None:
    """It comes last, since it ends the workers of all."""
    ending = workers(host)
    with scripted.upstream() as slow, ThreadPoolExecutor(1) as elsewhere:
        it = world.build(slow.url, tool="act", schema={"type": "object"})
        call = elsewhere.submit(host.call, it, it.token(), do="stream")
        assert slow.started.wait(waits.SECONDS)
        host.child.send_signal(signal.SIGTERM)
        assert "complete" in call.result().text
    assert host.child.wait(waits.SECONDS) == 0
    assert not [pid for pid in ending.values() if Path(f"/proc/{pid}").exists()]
    assert GatewayNode.objects.filter(pk__in=ending, stopped_at=None).count() == 0
