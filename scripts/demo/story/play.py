"""Play the main job against a running demo, step by step: `python -m scripts.demo.story.play WORLD.json`.

Reads DEMO_WORLD beside it (see `scripts/demo/data/seed.py`). Everything goes through the real surface: the REST API
with people's personal tokens, the token endpoints, and the official MCP client against real MCP servers. Each step
says in one sentence what it proves and shows what was observed; the first observation that differs ends the step, and
those that stand on it are not played; the status is other than zero then. When it has ended a request and a review are
left for the visitor (`scripts/demo/story/visit.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from scripts.demo.data import world
from scripts.demo.story import calls, controls, decoys, proof, review, steps, visit
from scripts.demo.story.stage import DoesNotHold, Stage


def _leave_a_visit(stage: Stage) -> None:
    visit.begin(stage.world, Path(stage.resources["out"]).parent)


type Play = Callable[[Stage], Awaitable[None] | None]
STEPS: Final[Mapping[str, tuple[Play, tuple[str, ...]]]] = {
    "system": (steps.system_is_registered, ()),
    "agent": (steps.agent_is_registered, ()),
    "request": (steps.access_is_requested, ("system", "agent")),
    "approval": (steps.request_is_approved, ("request",)),
    "calls": (calls.tools_are_called, ("approval",)),
    "REST calls": (calls.rest_is_called, ()),
    "denied calls": (calls.calls_are_decided, ("calls",)),
    "decoy": (decoys.decoy_is_touched, ()),
    "revocation": (calls.grant_is_revoked, ("approval",)),
    "review": (review.access_is_reviewed, ("calls",)),
    "timeline": (proof.timeline_tells_it, ("denied calls", "revocation", "review")),
    "record": (proof.record_verifies, ("timeline",)),
    "controls": (controls.rules_stand_above_grants, ()),
    "visit": (_leave_a_visit, ("system", "agent")),
}
"""Each step by its name, in order, with the steps that it stands on."""


async def play(stage: Stage, plan: Mapping[str, tuple[Play, tuple[str, ...]]] = STEPS) -> dict[str, str]:
    """Play every step in order but those that stand on one that does not hold; return why, by step."""
    failed: dict[str, str] = {}
    for name, (step, stands_on) in plan.items():
        if missing := [other for other in stands_on if other in failed]:
            failed[name] = f"was not played: it stands on {', '.join(missing)}"
            continue
        try:
            if (waiting := step(stage)) is not None:
                await waiting
        except Exception as difference:  # noqa: BLE001 - an outage is named as well, and the next step is played
            failed[name] = str(difference) if isinstance(difference, DoesNotHold) else repr(difference)
            print(f"  ✗ {name}, after step {stage.step}: {failed[name]}", flush=True)
    return failed


def main(arguments: list[str]) -> int:
    """Play, and name what does not hold."""
    (path,) = arguments
    stage = Stage(world.read(Path(path)), json.loads(os.environ["DEMO_WORLD"]))
    failed = asyncio.run(play(stage))
    print(f"  The whole story is one trace: {stage.trace}")
    for name, why in failed.items():
        print(f"  ✗ {name}: {why}", flush=True)
    if "visit" not in failed:
        print("  A request of Otto's is left for Sofia, and a review of what her agents may do.", flush=True)
    world.write(stage.world, Path(path))  # with what the story made
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
