"""Step 9 of the main job: one timeline tells all of it, and verifies offline against a signed checkpoint."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from audit.seals import anchors
from scripts.demo.servers.layout import ROOT
from scripts.demo.story.stage import AGENT, SYSTEM, Stage, check

ORDER = (
    "system.registered",
    "tool.found",
    "tool.approved",
    "entitlement.made",
    "agent.registered",
    "client.credential_proposed",
    "client.registered",
    "token.refused",
    "request.submitted",
    "attempt.refused",
    "approval.given",
    "grant.issued",
    "session.begun",
    "token.issued",
    "call.allowed",
    "call.denied",
    "grant.revoked",
    "revocation.committed",
    "revocation.settled",
    "call.denied",
    "token.refused",
    "campaign.made",
    "campaign.activated",
    "review.decided",
    "grant.suspended",
    "remediation.verified",
    "grant.revoked",
    "remediation.applied",
    "campaign.closed",
    "evidence.sealed",
)
"""What must be found in the timeline one after the other, whatever stands between."""


def timeline_tells_it(stage: Stage) -> None:
    """Every step stands in order under the story's one trace, and the agent's own timeline has its part of it."""
    events = sealed(stage)
    stage.last_index = max(event["index"] for event in events)
    actions = iter(event["action"] for event in events)
    missing = [action for action in ORDER if action not in actions]
    check(not missing, f"the timeline lacks, in this order: {missing}; it has {[event['action'] for event in events]}")
    about = stage.api("audrey").every(f"audit-events?about=agent:{AGENT}")
    ours = {event["uuid"] for event in about}
    named = {f"trace:{stage.trace}", *(link for event in events for link in event["links"])}
    outside = [event["action"] for event in about if f"trace:{event['trace']}" not in named]
    check(not outside, f"the agent's timeline has events outside the trace and the sign-in that it names: {outside}")
    calls = [event for event in about if event["action"] in {"call.allowed", "call.denied"}]
    check(all(event["on_behalf_of"] == "person:alice" for event in calls), "a call does not say for whom it was")
    stage.proven(
        9,
        "One timeline holds every step in order, under one trace, from registration to review.",
        f"{len(events)} events of the trace, {len(ours)} of them about {AGENT}, {len(calls)} decisions on calls",
        " → ".join(dict.fromkeys(event["action"] for event in events)),
    )


def sealed(stage: Stage) -> list[dict[str, Any]]:
    """Return the events of the story once each of them is a leaf of the sealed record. Raises DoesNotHold."""

    def found() -> list[dict[str, Any]] | None:
        events = stage.api("audrey").every(f"audit-events?about=trace:{stage.trace}")
        return events if events and all(event["index"] is not None for event in events) else None

    return stage.wait("the sealer to seal the story", found)


def record_verifies(stage: Stage) -> None:
    """The export verifies against the anchored checkpoints and the pinned key; a spoiled copy does not."""
    key, anchor = stage.resources["record"]["key"], Path(stage.resources["record"]["anchor"])
    stage.wait("a checkpoint over the story", lambda: True if published(anchor) > stage.last_index else None)
    with tempfile.TemporaryDirectory(prefix="mandate-export-") as folder:
        # Taken first: a checkpoint newer than the export would rightly miss the events that came in between.
        anchored = Path(shutil.copy(anchor, folder))
        exported = stage.api("audrey").get("audit/export")
        check(exported.is_success and exported.raw, f"the export was answered {exported}")
        whole, spoiled = Path(folder, "record.jsonl"), Path(folder, "spoiled.jsonl")
        whole.write_bytes(exported.raw)
        verdict = verify(key, whole, anchored)
        check(verdict.returncode == 0, f"the record does not verify: {verdict.stdout}{verdict.stderr}")
        sentence = "The export verifies offline: one file, the anchored checkpoints, the pinned key."
        stage.proven(9, sentence, *verdict.stdout.splitlines())
        index, line = spoil(exported.raw)
        spoiled.write_bytes(line)
        verdict = verify(key, spoiled, anchored)
        named = verdict.returncode == 1 and f"index {index}" in verdict.stdout
        check(named, f"a flipped bit at index {index} was not found: {verdict.stdout}{verdict.stderr}")
        stage.proven(9, "One flipped bit in a copy is found, and its event is named.", *verdict.stdout.splitlines())


def published(anchor: Path) -> int:
    """Return how many events the newest published checkpoint covers (C2SP tlog-checkpoint: the second line)."""
    note = anchors.File(anchor).last()
    return int(note.splitlines()[1]) if note else 0


def verify(key: Path | str, export: Path, anchored: Path) -> subprocess.CompletedProcess[str]:
    """Run the offline verifier: one file, in a Python that sees neither the product nor the environment."""
    command = [sys.executable, "-I", str(ROOT / "audit" / "verify.py"), str(export)]
    command += ["--checkpoint", str(anchored), "--key", str(key)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def spoil(record: bytes) -> tuple[int, bytes]:
    """Flip one bit in the body of the event that registered the story's system; return its index and the copy."""
    lines = record.splitlines(keepends=True)
    index = next(n for n, line in enumerate(lines) if b'"system.registered"' in line and SYSTEM.encode() in line)
    line = bytearray(lines[index])
    at = line.index(SYSTEM.encode())
    line[at] ^= 0x01
    lines[index] = bytes(line)
    return index, b"".join(lines)
