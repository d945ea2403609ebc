"""What waits for the visitor when the story has ended: a request for Sofia, and a review; and how to begin again.

Everything happens through the REST API, by the people whom it concerns. A file beside the world says which request and
review belong to the visit, and since when the record is looked at.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.demo.data import cast
from scripts.demo.data.world import World
from scripts.demo.story import review
from scripts.demo.story.rest import Api
from scripts.demo.story.stage import AGENT, CITIES, SYSTEM, USER, done

TOOL, ARGUMENTS = "get_current_time", {"timezone": CITIES[0]}
"""The call of the visit."""
REASON = "Alice flies on Thursday."
AGAIN = "The visit begins again."
REVIEWED = ("build-bot", "research-bot")
"""Whose access the visitor reviews as the sponsor: one works, one was never used."""


@dataclass(frozen=True)
class Visit:
    """One visit from its beginning: since when, and which request and review are its own."""

    began: str
    request: str
    review: str


def folder() -> Path:
    """Return where the running demo keeps its world, the visit, and the key that verifies the record."""
    return Path(os.environ["DEMO_RUN"])


def read(folder: Path) -> Visit:
    """Return the visit as the file has it."""
    return Visit(**json.loads(_file(folder).read_text()))


def begin(world: World, folder: Path) -> Visit:
    """Leave a request pending and a review open, and remember since when. Raises DoesNotHold."""
    began = datetime.now(UTC).isoformat()
    return _write(folder, Visit(began, _ask(world), _review(world)))


def again(world: World, folder: Path) -> Visit:
    """Bring back the beginning: what the visit gave ends, what it ended is given again, and the request is made again.

    What is still as it was at the beginning is left alone, so that doing it twice does it once. Raises DoesNotHold.
    """
    with _alone(folder):
        before = read(folder)
        began = datetime.now(UTC).isoformat()
        _end_access(world)
        kept = _is_untouched(world, before.review)
        if not kept:
            _close(world, before.review)  # what it removed is paused until then, and held as long
        for agent in REVIEWED:
            _give_back(world, agent)
        request = before.request if _is_waiting(world, before.request) else _ask(world)
        return _write(folder, Visit(began, request, before.review if kept else _review(world)))


def api(world: World, login: str) -> Api:
    """Return the API as a person of the world uses it."""
    person = world["people"][login]
    return Api(world["console"], person["api_token"], proof=person["password"])


def _ask(world: World) -> str:
    request = {"agent": AGENT, "entitlement": f"{SYSTEM}:read", "people": [USER], "lasts": "PT8H", "reason": REASON}
    return str(done("Asking for the visit", api(world, "otto").post("requests", request), 201)["id"])


def _review(world: World) -> str:
    ana = api(world, "ana")
    number = sum(campaign["slug"].startswith("visit-") for campaign in ana.every("campaigns")) + 1
    slug = f"visit-{number}"
    review.begin(ana, slug, f"What Sofia's agents may do, {number}", list(REVIEWED), "It was time to look.")
    return slug


def _end_access(world: World) -> None:
    """Revoke what the agent of the visit holds at its system, paused access too."""
    ana = api(world, "ana")
    for grant in ana.every(f"grants?agent={AGENT}&system={SYSTEM}"):
        if grant["ended_at"] is None:
            target = {"type": "grant", "id": grant["id"]}
            done("Ending access", ana.post("revocations", {"target": target, "reason": AGAIN, "wait": True}), 201)


def _is_waiting(world: World, request: str) -> bool:
    """Say whether the request waits as it was asked; one that was narrowed or half answered is withdrawn."""
    otto = api(world, "otto")
    row = done("Reading the request", otto.get(f"requests/{request}"))
    if row["state"] != "in_approval":
        return False
    whole = all(line["kept"] and line["limits"] == line["asked_limits"] for line in row["lines"])
    if whole and row["lasts"] == row["asked_lasts"]:
        return True
    done("Withdrawing the request", otto.post(f"requests/{request}/cancel", {"reason": AGAIN}, etag=row["etag"]))
    return False


def _give_back(world: World, agent: str) -> None:
    """Request again the access that a review removed, and let its approvers approve."""
    ana = api(world, "ana")
    spec = next(spec for spec in cast.ACCESS_REQUESTS if spec.agent == agent and spec.approved)
    system = spec.scope.partition(":")[0]
    if ana.every(f"grants?agent={agent}&system={system}&state=active"):
        return
    who = {"people": list(spec.people), "groups": list(spec.groups)}
    request_body = {"agent": agent, "entitlement": spec.scope, "lasts": f"P{spec.days}D", "reason": spec.reason, **who}
    request = done("Asking again", api(world, "otto").post("requests", request_body), 201)
    while request["state"] == "in_approval":
        stage = next(approval for approval in request["approvals"] if approval["waiting_for"])
        answer = api(world, stage["waiting_for"][0])
        request = done("Approving again", answer.post(f"requests/{request['id']}/approve", {}, etag=request["etag"]))


def _is_untouched(world: World, slug: str) -> bool:
    """Say whether nothing of a review is answered or drafted."""
    campaign = done("Reading the review", api(world, "ana").get(f"campaigns/{slug}"))
    items = api(world, review.REVIEWER).every(f"review-items?campaign={slug}")
    as_they_were = all(item["state"] == "in_review" and not (item["draft"] or {}).get("verb") for item in items)
    return bool(campaign["state"] == "active" and as_they_were)


def _close(world: World, slug: str) -> None:
    """Close a review, if it is not yet."""
    ana = api(world, "ana")
    if done("Reading the review", ana.get(f"campaigns/{slug}"))["state"] == "active":
        done("Closing", ana.post(f"campaigns/{slug}/close", {"reason": AGAIN, "without_answer": True}))


def _file(folder: Path) -> Path:
    return folder / "visit.json"


def _write(folder: Path, visit: Visit) -> Visit:
    fresh = _file(folder).with_suffix(".new")
    fresh.write_text(json.dumps(asdict(visit)))
    fresh.replace(_file(folder))
    return visit


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one begin again at a time."""
    with (folder / "visit.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
