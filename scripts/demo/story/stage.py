"""What the steps of the story share: who can call the API, what was made so far, how a proof is printed."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg

from scripts.demo import progress
from scripts.demo.data.world import World
from scripts.demo.story.agent_client import AgentClient, CallOutcome
from scripts.demo.story.rest import Answer, Api

SYSTEM, AGENT, USER = "clock", "travel-bot", "alice"
"""What the story makes and plays with, beside the world that the seed made."""
DENIAL = "mandate/denial"
CITIES = ["Europe/Paris", "Asia/Tokyo"]


class DoesNotHold(Exception):
    """Something was observed that the product promises not to do; the message says what."""


class Stage:
    """The running demo as the story sees it. `resources` are what the demo's start knows: samples, folders, nodes."""

    player: AgentClient
    asked: dict[str, Any]
    asked_git: dict[str, Any]
    grants: dict[str, str]
    last_index: int

    def __init__(self, world: World, resources: Mapping[str, Any]) -> None:
        self.world, self.resources = world, resources
        self.trace = secrets.token_hex(16)
        self.grants = {}
        self.step = 0
        self._began = time.monotonic()

    def wait[T](self, what: str, found: Callable[[], T | None]) -> T:
        """Wait as long as the product works: it writes events, seals them, or logs what it does. Raises DoesNotHold."""
        events = "SELECT (SELECT count(*) FROM pending), (SELECT max(index) FROM leaves)"
        logs = Path(self.resources["logs"])

        def moves() -> object:
            return database.execute(events).fetchone(), progress.size(logs)

        try:
            with psycopg.connect(self.world["owner_database_url"], autocommit=True) as database:
                return progress.wait(what, found, moves)
        except progress.Stalled as still:
            raise DoesNotHold(str(still)) from still

    async def call(
        self,
        player: AgentClient,
        system: str,
        tool: str,
        arguments: dict[str, Any],
        **more: Any,  # noqa: ANN401 - as AgentClient.call takes
    ) -> CallOutcome:
        """Call a tool until it is answered or denied: a busy machine starts a local server slowly."""
        ends = time.monotonic() + progress.STILL_SECONDS
        while True:
            outcome = await player.call(system, tool, arguments, **more)
            if outcome.allowed or DENIAL in outcome.meta or outcome.where == "token" or time.monotonic() > ends:
                return outcome
            print(f"    {tool} of {system} is tried again: {outcome.text[:120]}", flush=True)
            await asyncio.sleep(1)

    def api(self, login: str, *, proven: bool = False) -> Api:
        """Return the API as a person of the world uses it, who proves who they are where that is asked for."""
        person = self.world["people"][login]
        return Api(self.world["console"], person["api_token"], self.trace, person["password"] if proven else "")

    def proven(self, step: int, sentence: str, *observed: object) -> None:
        """Print what was shown, and what was seen."""
        took, self._began = time.monotonic() - self._began, time.monotonic()
        seen = "".join(f"\n        {observation}" for observation in observed)
        mark = f"{step}." if step != self.step else "  "
        print(f"  ✓ {mark:<3}{sentence} ({took:.1f} s){seen}", flush=True)
        self.step = step


def check(holds: object, otherwise: str) -> None:
    """Raise DoesNotHold unless the observation is as promised."""
    if not holds:
        raise DoesNotHold(otherwise)


def done(what: str, answer: Answer, status: int | None = None) -> Any:  # noqa: ANN401 - any JSON value
    """Return the body of a success (of exactly this status, if given). Raises DoesNotHold."""
    as_promised = answer.is_success if status is None else answer.status == status
    check(as_promised, f"{what} was answered {answer}")
    return answer.body


def refused(what: str, answer: Answer, status: int, code: str) -> str:
    """Return the code of a refusal that must come. Raises DoesNotHold."""
    check(not answer.is_success, f"{what} was not refused")
    as_promised = answer.status == status and answer.body.get("code") == code
    check(as_promised, f"{what} was to be refused with {status} {code}, and was answered {answer}")
    return code
