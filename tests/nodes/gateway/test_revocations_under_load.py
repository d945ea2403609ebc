"""Many calls a second over two nodes while what they stand on is revoked, one node frozen and one cut off in turn.

Nothing is forwarded after its receipt, by the upstream's own log. Printed, and to be read on a quiet machine.
`CALLS_A_SECOND`, `REVOKING_SECONDS` and `REVOKE_EVERY` choose another load.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import transaction

from audit import log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.gateway import answers
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from entitlements.secrets import vault
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from scripts.devservers import free_port
from tests import databases, make, waits
from tests.audit.make import Archive
from tests.nodes.gateway import cables, world
from tests.nodes.gateway.cables import Cable
from tests.nodes.gateway.test_one_end import calls_without_an_end
from tests.nodes.gateway.world import Gateway, World

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
RATE = int(os.environ.get("CALLS_A_SECOND", "200"))
SECONDS = int(os.environ.get("REVOKING_SECONDS", "180"))
EVERY = float(os.environ.get("REVOKE_EVERY", "3"))
FAULT_SECONDS: Final = 6.0
STAYING: Final = 4
"""So many agents are not revoked: their calls go on."""
MODULE: Final = "tests.nodes.gateway.under_load"
KINDS: Final[dict[str, Callable[[World], str]]] = {
    "session": lambda here: str(here.session.pk),
    "grant": lambda here: str(here.grant.pk),
    "agent": lambda here: here.agent.slug,
    "client": lambda here: here.client.client_id,
    "person": lambda here: here.person.login,
}


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of the processes of `under_load` until the block ends."""
    child = subprocess.Popen([sys.executable, "-m", MODULE, *arguments], cwd=world.ROOT)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(waits.SECONDS)


def worlds(port: int, count: int) -> list[World]:
    """Make agents with a person, a client, a session and a grant each, at one system; tokens are noted as issued."""
    system = make.system("busy", upstream_url=f"http://127.0.0.1:{port}/mcp", denial_shape="tool_result")
    vault.set_secret(system, kind="bearer", value="upstream-secret", by=SYSTEM)
    schema = {"type": "object", "properties": {"of": {"type": "string"}}}
    first = world.on(make.tool(system, "act", definition={"name": "act", "inputSchema": schema}))
    return [first, *(alike(first) for _ in range(count - 1))]


def alike(first: World) -> World:
    """Return another agent, person, client and session with a grant of the same entitlement."""
    name = uuid.uuid4().hex[:8]
    agent, person = make.agent(f"bot-{name}"), make.person(f"alice-{name}")
    client, _ = make.client(agent, f"client-{name}")
    grant = make.grant(agent, first.entitlement, people=[person])
    session = Session.objects.get(pk=first.session.pk)
    session.pk, session.agent, session.client, session.person = uuid.uuid4(), agent, client, person
    session.sign_in_sha256, session._state.adding = uuid.uuid4().hex, True
    session.save()
    return replace(first, agent=agent, client=client, person=person, grant=grant, session=session)


def target(here: World) -> dict[str, str]:
    token = here.token()
    row = IssuedToken.objects.get(client=here.client)
    with transaction.atomic():
        log.record(Action.TOKEN_ISSUED, by=here.agent.principal, about=[f"token:{row.pk}"])
    return {"of": here.agent.slug, "token": token, "path": answers.path(here.system.slug)}


def disturb(nodes: list[Gateway], laid: list[Cable], stop: threading.Event) -> list[str]:
    """Freeze one node, cut the other off, and so on in turn with a pause between; returns what was done."""
    done: list[str] = []
    for turn in range(1_000):
        if stop.wait(FAULT_SECONDS):
            break
        which = turn // 2 % 2
        if turn % 2 == 0:
            nodes[which].child.send_signal(signal.SIGSTOP)
            stop.wait(FAULT_SECONDS)
            nodes[which].child.send_signal(signal.SIGCONT)
            done.append(f"node {which + 1} frozen")
        else:
            laid[1 - which].pull()
            stop.wait(FAULT_SECONDS)
            laid[1 - which].plug()
            done.append(f"node {2 - which} cut off")
    return done


def revoke_one_by_one(here: list[World], until: float) -> dict[str, tuple[str, float]]:
    """Revoke one after the other, each as another kind; returns the moment of each receipt, by the agent."""
    receipts: dict[str, tuple[str, float]] = {}
    for number, one in enumerate(here):
        began = time.monotonic()
        if began > until:
            break
        kind = [*KINDS][number % len(KINDS)]
        revocation.revoke(Target(kind, KINDS[kind](one)), by=SYSTEM, reason="a soak")
        receipts[one.agent.slug] = kind, time.monotonic()
        time.sleep(max(0.0, began + EVERY - time.monotonic()))
    return receipts


@pytest.mark.usefixtures("emptied")
def test_nothing_is_forwarded_after_its_receipt(tmp_path: Path) -> None:
    port, arrived, answered, plan = free_port(), tmp_path / "arrived", tmp_path / "answered", tmp_path / "plan"
    arrived.touch()
    with contextlib.ExitStack() as stack:
        laid = [stack.enter_context(cables.cable()) for _ in range(2)]
        leads = [cable.leads_to(databases.addresses().app) for cable in laid]
        nodes = [stack.enter_context(world.gateway(f"soak-{n}", DATABASE_URL=to)) for n, to in enumerate(leads, 1)]
        stack.enter_context(process("upstream", str(port), str(arrived)))
        made = worlds(port, STAYING + int(SECONDS / EVERY) + 1)
        targets = [target(each) for each in made]
        plan.write_text(
            json.dumps(
                {
                    "targets": targets,
                    "meta": world.META,
                    "bases": [n.base for n in nodes],
                    "rate": RATE,
                    "seconds": SECONDS,
                }
            )
        )
        stop, done = threading.Event(), list[str]()
        faults = threading.Thread(target=lambda: done.extend(disturb(nodes, laid, stop)))
        with process("calls", str(plan), str(answered)) as calls:
            waits.until(lambda: {of for _, of in logged(arrived)} >= {each["of"] for each in targets})
            faults.start()
            receipts = revoke_one_by_one(made[STAYING:], time.monotonic() + SECONDS - EVERY)
            stop.set()
            faults.join()
            assert calls.wait(SECONDS + 60) == 0
        print_and_check(arrived, answered, receipts, done)
        # A write that a fault cut may stand, and its withdrawal is not written twice: at most one call a fault.
        waits.until(lambda: len(calls_without_an_end()) <= len(done))
    Archive(tmp_path / "archive", Ed25519PrivateKey.generate()).seal()
    call_command("invariants")


def logged(arrived: Path) -> list[tuple[float, str]]:
    """Return what the upstream has logged: the moment of each call, and of whom."""
    return [(float(at), of) for at, of in (line.split() for line in arrived.read_text().splitlines())]


def print_and_check(arrived: Path, answered: Path, receipts: dict[str, tuple[str, float]], done: list[str]) -> None:
    """Print how long calls took and what came of them, and compare the upstream's log with the receipts."""
    calls: list[dict[str, Any]] = [json.loads(line) for line in answered.read_text().splitlines()]
    forwarded = logged(arrived)
    took = sorted(each["took"] for each in calls if each["outcome"] == "done")
    late = [
        (of, *receipts[of], at - receipts[of][1]) for at, of in forwarded if of in receipts and at > receipts[of][1]
    ]
    kinds = Counter(kind for kind, _ in receipts.values())
    lines = [
        f"{len(calls)} calls, {len(forwarded)} forwarded, {len(receipts)} revocations ({dict(kinds)}), {done}",
        str(dict(Counter(each["outcome"] for each in calls))),
        f"p50 {took[len(took) // 2] * 1000:.1f} ms, p99 {took[int(len(took) * 0.99)] * 1000:.1f} ms of those done",
    ]
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert not late, f"{len(late)} calls were forwarded after their receipts, such as {late[:3]}"
    assert kinds.keys() == KINDS.keys(), "each kind was revoked"
    assert any("frozen" in each for each in done)
    assert any("cut off" in each for each in done)
    last = max(at for at, of in forwarded if of not in receipts)
    assert last > max(moment for _, moment in receipts.values()), "the others call on"
