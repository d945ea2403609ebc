"""A gateway whose database or queue goes away: it refuses everything meanwhile, or goes on, and heals by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts import devservers, devstack
from tests import databases, waits

ROOT = Path(__file__).resolve().parents[2]
DOORS = ("gw/nowhere/mcp", "idp/token", "idp/introspect", "idp/revoke", "as/nowhere/token")
CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()


def status(address: str, body: bytes | None = None) -> int:
    """Return the status that an address answers, 0 for none."""
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=waits.SECONDS) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def answers(node: str) -> list[int]:
    """Return what each endpoint of a node answers to a stranger."""
    return [status(f"{node}/{door}", CALL) for door in DOORS]


@contextmanager
def gateway(stack: devstack.Stack, port: int) -> Iterator[str]:
    """Run one real node on a stack of its own."""
    kept = {k: v for k, v in os.environ.items() if k not in {databases.RUN, databases.WORKER, databases.ADMIN}}
    environment = {**kept, **stack, "DEMO": "1", "DJANGO_SETTINGS_MODULE": "governance.settings"}
    migrate = [sys.executable, "manage.py", "migrate", "--database", "owner", "-v", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
    serve = ["-m", "uvicorn", "governance.asgi:application", "--port", str(port), "--log-level", "warning"]
    node = subprocess.Popen([sys.executable, *serve], cwd=ROOT, env=environment)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        node.terminate()
        node.wait(waits.SECONDS)


def test_a_node_refuses_while_its_database_is_stopped_and_does_not_miss_the_queue() -> None:
    with devstack.stack(fast=True, given={}) as stack, gateway(stack, devservers.free_port()) as node:
        waits.until(lambda: status(f"{node}/readyz") == 200)
        usual = answers(node)
        assert not {0, 200, 503} & {*usual}

        stack.valkey.stop()
        assert (answers(node), status(f"{node}/readyz")) == (usual, 200)

        stack.postgres.stop("immediate")
        waits.until(lambda: {*answers(node)} == {503})
        assert {status for _ in range(10) for status in answers(node)} == {503}
        assert status(f"{node}/readyz") == 503

        stack.postgres.start()
        waits.until(lambda: answers(node) == usual)
        assert status(f"{node}/readyz") == 200
