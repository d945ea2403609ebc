"""Play the main job against a running demo, step by step: `python -m scripts.demo.story.play WORLD.json`.

Reads DEMO_WORLD beside it (see `scripts/demo/data/seed.py`). Everything goes through the real surface: the REST API
with people's personal tokens, the token endpoints, and the official MCP client against real MCP servers. Each step
says in one sentence what it proves and shows what was observed; the first observation that differs ends the story
with a status other than zero. When it has ended a request and a review are left for the visitor
(`scripts/demo/story/visit.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from scripts.demo.data import world
from scripts.demo.story import calls, decoys, proof, review, steps, visit
from scripts.demo.story.stage import DoesNotHold, Stage


async def play(stage: Stage) -> None:
    """Play every step in order. Raises DoesNotHold."""
    steps.system_is_registered(stage)
    steps.agent_is_registered(stage)
    await steps.access_is_requested(stage)
    steps.request_is_approved(stage)
    await calls.tools_are_called(stage)
    await calls.rest_is_called(stage)
    await calls.calls_are_decided(stage)
    await decoys.decoy_is_touched(stage)
    await calls.grant_is_revoked(stage)
    await review.access_is_reviewed(stage)
    proof.timeline_tells_it(stage)
    proof.record_verifies(stage)


def main(arguments: list[str]) -> int:
    """Play, and say where it stopped if it did."""
    (path,) = arguments
    stage = Stage(world.read(Path(path)), json.loads(os.environ["DEMO_WORLD"]))
    try:
        asyncio.run(play(stage))
        visit.begin(stage.world, Path(path).parent)
    except DoesNotHold as difference:
        print(f"  ✗ after step {stage.step}: {difference}", file=sys.stderr, flush=True)
        return 1
    print(f"  The whole story is one trace: {stage.trace}")
    print("  A request of Otto's is left for Sofia, and a review of what her agents may do.")
    world.write(stage.world, Path(path))  # with what the story made
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
