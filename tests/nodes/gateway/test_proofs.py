"""A proof asks every node by its own address, sends nothing on, and says which node it could not ask."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.test import Client as Browser

from audit import clock
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.decisions import guardrails
from entitlements.keys import jws
from entitlements.revocation import proofs, revocation, verify_receipt
from entitlements.revocation.models import Revocation, RevocationProof
from entitlements.revocation.revocation import Target
from entitlements.stdio.models import StdioNode
from entitlements.stdio_calls import probes
from entitlements.stdio_calls.probes import Probe
from tests import make, waits
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import Gateway, World

DO = {"type": "object", "properties": {"do": {"type": "string"}}}


@pytest.fixture(scope="module")
def second(database: None) -> Iterator[Gateway]:  # noqa: ARG001
    with world.gateway("node-2") as running:
        yield running


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted.upstream() as server:
        yield server


@pytest.fixture
def here(node: Gateway, second: Gateway, upstream: Scripted) -> World:  # noqa: ARG001
    return world.build(upstream.url, tool="act", schema=DO)


def suspended(here: World) -> Revocation:
    here.token()
    target = Target("agent", here.agent.slug)
    return revocation.revoke(target, by=make.analyst().principal, reason="Leak.", ticket="")


def of_nodes(proof: RevocationProof) -> dict[str, set[tuple[int, str]]]:
    found: dict[str, set[tuple[int, str]]] = {}
    for answer in proof.answers:
        found.setdefault(answer["node"], set()).add((answer["status"], answer["code"]))
    return found


@pytest.mark.parametrize("kind", ["agent", "grant", "session", "token", "person_agents", "system", "everything"])
def test_every_node_refuses_what_was_stopped_and_no_call_reaches_the_system(
    here: World, upstream: Scripted, kind: str
) -> None:
    jti, before = here.token_id(), len(upstream.requests)
    keys = {
        "agent": here.agent.slug, "grant": str(here.grant.pk), "session": str(here.session.pk), "token": jti,
        "person_agents": here.person.login, "system": here.system.slug, "everything": "everything",
    }  # fmt: skip
    stop = revocation.revoke(Target(kind, keys[kind]), by=SYSTEM, reason="x", ticket="")
    try:
        proof = proofs.prove(stop, by=SYSTEM)
    finally:
        if kind == "everything":
            guardrails.restart_everything(by=make.security().principal, reason="over")

    assert proof.result == "proven", (proof.answers, proof.unproven)
    code = {
        "agent": "agent_suspended", "grant": "no_grant", "session": "session_ended", "token": "token_revoked",
        "system": "system_disabled", "everything": "everything_stopped",
    }  # fmt: skip
    answers = of_nodes(proof)
    assert set(answers) == {"node-1", "node-2"}
    assert {status for each in answers.values() for status, _ in each} == {403}
    if kind in code:
        assert all(code[kind] in {found for _, found in each} for each in answers.values()), answers
    assert len(upstream.requests) == before
    assert [event.action for event in timeline.about(stop.link)][-1] == "revocation.proven"


def test_a_node_that_would_let_it_pass_fails_the_proof_and_still_sends_nothing(here: World, upstream: Scripted) -> None:
    stop = suspended(here)
    assert proofs.prove(stop, by=SYSTEM).result == "proven"
    agents.restore(Agent.objects.get(pk=here.agent.pk), by=make.security().principal, reason="Over.")
    before = len(upstream.requests)

    proof = proofs.prove(stop, by=SYSTEM)

    assert proof.result == "failed"
    assert (200, "allowed") in of_nodes(proof)["node-1"] & of_nodes(proof)["node-2"], proof.answers
    assert len(upstream.requests) == before


def test_a_node_that_does_not_answer_is_named_as_not_proven(
    here: World, second: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "SECONDS", 0.5)
    stop = suspended(here)
    second.child.send_signal(signal.SIGSTOP)
    try:
        proof = proofs.prove(stop, by=SYSTEM)
    finally:
        second.child.send_signal(signal.SIGCONT)

    assert proof.result == "incomplete"
    assert proof.unproven == [{"node": "node-2", "why": "unreachable"}]
    assert set(of_nodes(proof)) == {"node-1"}


def test_who_answers_in_a_nodes_place_proves_nothing(here: World, upstream: Scripted) -> None:
    stop = suspended(here)
    row = StdioNode.objects.get(node="node-2")
    another = StdioNode.objects.get(node="node-1").address
    for address, why in (
        (upstream.url, "not_its_answer"),
        (another, "not_its_answer"),
        ("http://127.0.0.1:1/", "unreachable"),
    ):
        StdioNode.objects.filter(node="node-2").update(address=address)
        proof = proofs.prove(stop, by=SYSTEM)
        assert (proof.result, proof.unproven) == ("incomplete", [{"node": "node-2", "why": why}]), address
    StdioNode.objects.filter(node="node-2").update(address=row.address)
    StdioNode.objects.filter(node="node-2").delete()
    assert proofs.prove(stop, by=SYSTEM).unproven == [{"node": "node-2", "why": "no_address"}]
    row.save(force_insert=True)


def test_a_node_answers_only_what_was_sealed_for_this_process_now_and_once(here: World, node: Gateway) -> None:
    row = StdioNode.objects.get(node="node-1")
    address = row.address.replace("/internal/stdio", probes.PATH)

    def probe(**changes: object) -> Probe:
        given: dict[str, Any] = {
            "at": clock.now().timestamp(), "number": uuid.uuid4().hex, "position": 0, "system": here.system.slug,
            "tool": here.tool.name, "agent": here.agent.slug, "client": here.client.client_id,
            "person": here.person.login, "session": str(here.session.pk),
        }  # fmt: skip
        return Probe(**given | changes)

    once = probes.seal_probe(probe(), "node-1", row.run)
    assert httpx2.post(address, content=once).status_code == 200
    altered = bytearray(probes.seal_probe(probe(), "node-1", row.run))
    altered[-1] ^= 1
    old = probe(at=clock.now().timestamp() - 11)
    for body in (
        once,
        bytes(altered),
        b"",
        probes.seal_probe(probe(), "node-1", uuid.uuid4()),
        probes.seal_probe(probe(), "node-2", row.run),
        probes.seal_probe(old, "node-1", row.run),
    ):
        assert httpx2.post(address, content=body).status_code == 401
    ahead = probes.seal_probe(probe(position=10**9), "node-1", row.run)
    assert httpx2.post(address, content=ahead, timeout=waits.SECONDS).status_code == 503
    assert httpx2.post(f"{node.base}{probes.PATH}", content=once).status_code == 404, "no client reaches it"


@pytest.mark.usefixtures("here")
def test_what_was_never_used_and_has_no_access_leaves_nothing_to_prove() -> None:
    agent = make.agent()
    stop = revocation.revoke(Target("agent", agent.slug), by=SYSTEM, reason="x", ticket="", wait=False)
    with pytest.raises(proofs.NotSettled):
        proofs.prove(stop, by=SYSTEM)
    with pytest.raises(proofs.NothingToProve):
        proofs.prove(revocation.settle(stop), by=SYSTEM)


def test_an_auditor_verifies_receipt_and_proof_with_one_file_in_a_bare_interpreter(here: World, tmp_path: Path) -> None:
    stop = suspended(here)
    proof = proofs.prove(stop, by=SYSTEM)
    for name, text in (("receipt", stop.receipt), ("proof", proof.record)):
        (tmp_path / name).write_text(text)
    (tmp_path / "keys").write_bytes(Browser().get("/records/jwks.json").content)
    command = [sys.executable, "-I", "-S", verify_receipt.__file__, "receipt", "proof", "--keys", "keys"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run
    for sentence in ("VALID", f'REVOCATION of "agent" "{here.agent.slug}"', '"Leak."', "PROOF PROVEN", "node-2"):
        assert sentence in run.stdout
    said = jws.read(proof.record).claims
    assert (said["revocation"], said["result"]) == (str(stop.pk), "proven")
    assert list(said["answers"]) == proof.answers
