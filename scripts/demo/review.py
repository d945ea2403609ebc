"""Step 8 of the main job: a review keeps what is used and removes what is not, and the removal is proven."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.demo.player import Credentials, Player, Refused
from scripts.demo.rest import Api
from scripts.demo.stage import Stage, check, done

CAMPAIGN = "quarterly-review"
KEPT, DROPPED = "build-bot", "stale-bot"
"""One agent that works, and one that nobody has used since it was tried out."""
FOR = "bob"
"""Whom the forgotten agent may still act for."""
REVIEWER = "sofia"
DUE = timedelta(days=14)


def begin(api: Api, slug: str, name: str, agents: list[str], reason: str) -> dict[str, Any]:
    """Make a campaign over the access of some agents and begin it; return it as it is then. Raises DoesNotHold."""
    due = (datetime.now(UTC) + DUE).isoformat()
    asked = {"slug": slug, "name": name, "due_at": due, "scope": {"agents": agents}, "reason": reason}
    done("Making the review", api.post("campaigns", asked), 201)
    begun: dict[str, Any] = done("Beginning the review", api.post(f"campaigns/{slug}/activate", {}))
    return begun


async def access_is_reviewed(stage: Stage) -> None:
    """Step 8: the population is frozen, the sponsor keeps and removes, the removal holds, the evidence adds up."""
    repository = {"repo_path": stage.told["repository"]}
    seen = await _player(stage, KEPT).call("git", "git_log", repository, person=None)
    check(seen.allowed, f"{KEPT} cannot do what it is for: {seen}")
    forgotten = _player(stage, DROPPED)
    items = _population(stage)
    _answers(stage, items)
    try:
        await forgotten.exchange("time", await forgotten.sign_in(FOR))
    except Refused as no:
        check(
            no.answer.get("code") in ("no_grant", "grant_suspended"),
            f"the exchange was refused for another reason: {no.answer}",
        )
        stage.proven(8, "What was removed gets no token any more.", f"{DROPPED}: {no.answer['code']}")
    else:
        check(holds=False, otherwise=f"{DROPPED} was given an ID-JAG after its access was removed")
    _evidence(stage, items)


def _player(stage: Stage, agent: str) -> Player:
    client_id = stage.world["agents"][agent]["client_id"]
    return Player(stage.world, Credentials(client_id, stage.world["clients"][client_id]), stage.trace)


def _population(stage: Stage) -> dict[str, dict[str, Any]]:
    """Begin the review; return its items by agent."""
    begun = begin(
        stage.api("ana"), CAMPAIGN, "Is it still needed?", [KEPT, DROPPED], "Access is looked at four times a year."
    )
    check(begun["state"] == "active" and begun["population_rows"] == 2, f"the population is another: {begun}")  # noqa: PLR2004
    items = {item["agent"]: item for item in stage.api(REVIEWER).every(f"review-items?campaign={CAMPAIGN}")}
    who = {item["reviewer"] for item in items.values()}
    check(items.keys() == {KEPT, DROPPED} and who == {REVIEWER}, f"the items are others than promised: {items}")
    used = {agent: sum(line["calls"] for line in item["lines"]) for agent, item in items.items()}
    check(used[KEPT] > 0 and used[DROPPED] == 0, f"the use beside the items is not what happened: {used}")
    counted = [f"{agent}: calls in 90 days: {calls}" for agent, calls in used.items()]
    stage.proven(
        8,
        "A review begins: what is in force is frozen and hashed, and goes to the sponsor with its use beside it.",
        f"{begun['population_rows']} accesses, sha256 {begun['population_sha256'][:16]}",
        *counted,
    )
    return items


def _answers(stage: Stage, items: dict[str, dict[str, Any]]) -> None:
    """Draft and submit the sponsor's answers; nobody else answers, and a draft decides nothing."""
    sofia = stage.api(REVIEWER)
    answers = {
        KEPT: {"verb": "certify", "reason_code": "business_need", "comment": "Every build report needs it."},
        DROPPED: {"verb": "revoke", "reason_code": "unused", "comment": "The pilot ended long ago."},
    }
    other = stage.api("otto").put(f"review-items/{items[KEPT]['id']}/draft", answers[KEPT], etag='"0"')
    check(not other.is_success, f"the technical owner could answer for the agent: {other}")
    for agent, answer in answers.items():
        done("Drafting", sofia.put(f"review-items/{items[agent]['id']}/draft", answer, etag='"0"'))
    held = stage.api("ana").every(f"grants?agent={DROPPED}&state=active")
    check(len(held) == 1, f"a draft changed what is in force: {held}")
    read = done("Reading the drafts", sofia.get(f"campaigns/{CAMPAIGN}"))
    where = f"campaigns/{CAMPAIGN}/submissions"
    submitted = done("Submitting", sofia.post(where, {}, etag=read["drafts_etag"]), 201)
    decided = sorted(each["verb"] for each in submitted["decided"])
    check(decided == ["certify", "revoke"], f"other things were decided: {submitted}")
    held = stage.api("ana").every(f"grants?agent={DROPPED}&state=active")
    check(not held, f"the removed access is still in force: {held}")
    stage.proven(
        8,
        "The sponsor keeps one and removes the other, each with a reason; submitting ends the access at once.",
        f"the technical owner's answer: {other.body['code']}",
        *(f"{agent}: {answer['verb']}, {answer['reason_code']}" for agent, answer in answers.items()),
    )
    denied = _removal(submitted["removals"])
    stage.proven(8, "The removal is proven: each call that it took away was decided again, and denied.", denied)


def _removal(removals: list[dict[str, Any]]) -> str:
    """See that every call that the removal took away was decided again, and denied; say so. Raises DoesNotHold."""
    check(len(removals) == 1, f"another number of removals: {removals}")
    state, calls = removals[0]["state"], removals[0]["probe"]["calls"]
    denied = calls and not any(call["allowed"] for call in calls)
    check(state == "verified" and denied, f"the removal is not proven: {removals}")
    return ", ".join(f"{call['tool']} for {call['person']}: {call['code']}" for call in calls)


def _evidence(stage: Stage, items: dict[str, dict[str, Any]]) -> None:
    """Close the review; its evidence adds up, as a list for machines and as a table."""
    ana = stage.api("ana")
    closed = done("Closing the review", ana.post(f"campaigns/{CAMPAIGN}/close", {"reason": "All is answered."}))
    check(closed["state"] == "closed", f"the review is not closed: {closed}")
    audrey = stage.api("audrey", proven=True)
    evidence = done("Reading the evidence", audrey.get(f"campaigns/{CAMPAIGN}/evidence"))
    check(not any(evidence["tie_out"].values()), f"the evidence does not add up: {evidence['tie_out']}")
    rows = {row["agent"]: row for row in evidence["rows"]}
    removed = rows[DROPPED]
    told = (removed["outcome"], removed["decided_by"], removed["removal"]) == ("revoke", REVIEWER, "verified")
    check(rows.keys() == items.keys() and told and removed["event"], f"the evidence says other things: {rows}")
    table = audrey.get(f"campaigns/{CAMPAIGN}/evidence.csv")
    check(table.is_success and len(table.raw.splitlines()) == 1 + len(rows), f"the table was answered {table}")
    stage.proven(
        8,
        "The evidence adds up: who decided what and why, and the events of the record that say so.",
        ", ".join(f"{what.replace('_', ' ')} {difference}" for what, difference in evidence["tie_out"].items()),
        f"{DROPPED}: removed by {removed['decided_by']}, proven in event {removed['proof_event']}",
    )
