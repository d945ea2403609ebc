"""Step 8 of the main job: a review looks at what is left with the use of every tool, and cuts what is not needed.

The cut is replayed before it is made and proven after; the evidence is sealed, and checked by the script that comes
with it, against a key from elsewhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.demo.story import evidence_pack
from scripts.demo.story.agent_client import AgentClient, Credentials, Refused
from scripts.demo.story.calls import code_of
from scripts.demo.story.rest import Api
from scripts.demo.story.stage import AGENT, Stage, check, done

CAMPAIGN = "quarterly-review"
CUT, DROPPED = "build-bot", "stale-bot"
"""One agent that uses one of its tools, and one that was not used since it was tried out."""
USED, UNUSED = "git_log", "git_show"
FOR = "bob"
"""Whom the forgotten agent may still act for."""
REVIEWER, OWNER = "sofia", "sam"
"""The sponsor, and the owner of the system, who answers where the sponsor is the agent's user."""
SIGNED = "Complete as of its date; reviewers were independent; what was cut is proven; all of it is kept."
DUE = timedelta(days=14)


def begin(api: Api, slug: str, name: str, agents: list[str], reason: str) -> dict[str, Any]:
    """Make a campaign over the access of some agents and begin it; return it as it is then. Raises DoesNotHold."""
    due = (datetime.now(UTC) + DUE).isoformat()
    campaign = {"slug": slug, "name": name, "due_at": due, "scope": {"agents": agents}, "reason": reason}
    done("Making the review", api.post("campaigns", campaign), 201)
    begun: dict[str, Any] = done("Beginning the review", api.post(f"campaigns/{slug}/activate", {}))
    return begun


async def access_is_reviewed(stage: Stage) -> None:
    """Step 8: what is left is frozen, answered with its use beside it, cut, proven, sealed, and verified offline."""
    repository = {"repo_path": stage.resources["repository"]}
    builder = _player(stage, CUT)
    tried = await stage.call(builder, "git", USED, repository, person=None)
    check(tried.allowed, f"{CUT} cannot do what it is for: {tried}")
    items = _population(stage)
    _replay(stage, items[CUT])
    _answers(stage, items)
    await _cut_holds(stage, builder, repository)
    await _nothing_issued(stage)
    _evidence(stage, items)
    evidence_pack.evidence_verifies(stage, CAMPAIGN, SIGNED)


def _player(stage: Stage, agent: str) -> AgentClient:
    client_id = stage.world["agents"][agent]["client_id"]
    return AgentClient(stage.world, Credentials(client_id, stage.world["clients"][client_id]), stage.trace)


def _population(stage: Stage) -> dict[str, dict[str, Any]]:
    """Begin the review over what is left of the story, and what was forgotten; return its items by agent."""
    agents = [AGENT, CUT, DROPPED]
    reason = "Access is looked at four times a year."
    begun = begin(stage.api("ana"), CAMPAIGN, "Access at the end of the quarter", agents, reason)
    check(begun["state"] == "active" and begun["population_rows"] == len(agents), f"another population: {begun}")
    by = {REVIEWER: {CUT, DROPPED}, OWNER: {AGENT}}
    items = {item["agent"]: item for who in by for item in stage.api(who).every(f"review-items?campaign={CAMPAIGN}")}
    asked_by_reviewer = {who: {item["agent"] for item in items.values() if item["reviewer"] == who} for who in by}
    check(asked_by_reviewer == by, f"the items are others than promised: {items}")
    used = {agent: {line["tool"]: line["calls"] for line in items[agent]["lines"]} for agent in agents}
    as_it_was = (
        used[CUT][USED] and not used[CUT][UNUSED] and not any(used[DROPPED].values()) and any(used[AGENT].values())
    )
    check(as_it_was, f"the use beside the items is not what happened: {used}")
    counted = [
        f"{agent}: calls in 90 days: " + ", ".join(f"{t} {n}" for t, n in used[agent].items()) for agent in agents
    ]
    stage.proven(
        8,
        "A review begins: what is left is frozen and hashed, and goes to its reviewers with the use of every tool.",
        f"{begun['population_rows']} accesses, sha256 {begun['population_sha256'][:16]}",
        *counted,
    )
    return items


def _replay(stage: Stage, item: dict[str, Any]) -> None:
    """Replay the cut on the recorded calls before it is made: none of them would have been denied."""
    (grant,) = {line["grant"] for line in item["lines"]}
    drop = [line["tool"] for line in item["lines"] if not line["calls"]]
    reduction = {"grant": grant, "drop": drop}
    replay = done("Replaying the cut", stage.api(REVIEWER).post("simulate/reduction", reduction))
    check(
        replay["visible"] and replay["calls"] and not replay["would_be_denied"],
        f"the replay says other things: {replay}",
    )
    observed = (
        f"{replay['would_be_denied']} of {replay['calls']} calls would have been denied without {', '.join(drop)}"
    )
    stage.proven(8, "The reduction is replayed on recorded calls before a reviewer decides on it.", observed)


def _answers(stage: Stage, items: dict[str, dict[str, Any]]) -> None:
    """Draft and submit the answers; no other person can answer, and a draft decides nothing."""
    kept = [line["id"] for line in items[CUT]["lines"] if line["calls"]]
    answers: dict[str, dict[str, Any]] = {
        CUT: {"verb": "reduce", "reason_code": "unused", "comment": "The log is all it reads.", "kept": kept},
        DROPPED: {"verb": "revoke", "reason_code": "unused", "comment": "The pilot ended long ago."},
        AGENT: {"verb": "certify", "reason_code": "business_need", "comment": "The itinerary needs it."},
    }
    other = stage.api("otto").put(f"review-items/{items[CUT]['id']}/draft", answers[CUT], etag='"0"')
    check(not other.is_success, f"the technical owner could answer for the agent: {other}")
    for agent, answer in answers.items():
        who = stage.api(OWNER if agent == AGENT else REVIEWER)
        done("Drafting", who.put(f"review-items/{items[agent]['id']}/draft", answer, etag='"0"'))
    held = stage.api("ana").every(f"grants?agent={DROPPED}&state=active")
    check(len(held) == 1, f"a draft changed what is in force: {held}")
    submitted = {who: _submit(stage, who) for who in (REVIEWER, OWNER)}
    decided = sorted(decision["verb"] for submission in submitted.values() for decision in submission["decided"])
    check(decided == ["certify", "reduce", "revoke"], f"other things were decided: {submitted}")
    held = stage.api("ana").every(f"grants?agent={DROPPED}&state=active")
    check(not held, f"the removed access is still in force: {held}")
    stage.proven(
        8,
        "One access is kept, one keeps only what it uses, one is removed, each with a reason; it holds at once.",
        f"the technical owner's answer: {other.body['code']}",
        *(f"{agent}: {answer['verb']}, {answer['reason_code']}" for agent, answer in answers.items()),
    )
    denied = _removals(submitted[REVIEWER]["removals"])
    stage.proven(
        8, "The remediations are verified: each call that they took away was decided again, and denied.", *denied
    )


def _submit(stage: Stage, who: str) -> dict[str, Any]:
    api = stage.api(who)
    read = done("Reading the drafts", api.get(f"campaigns/{CAMPAIGN}"))
    where = f"campaigns/{CAMPAIGN}/submissions"
    submission: dict[str, Any] = done("Submitting", api.post(where, {}, etag=read["drafts_etag"]), 201)
    return submission


def _removals(removals: list[dict[str, Any]]) -> list[str]:
    """See that every call that the cuts took away was decided again, and denied; say so. Raises DoesNotHold."""
    check(len(removals) == 2, f"another number of cuts: {removals}")  # noqa: PLR2004 - one reduced, one removed
    probed = [call for removal in removals for call in removal["probe"]["calls"]]
    calls = [call for call in probed if call["expected"] == "denied"]
    proven = all(removal["state"] == "verified" for removal in removals)
    check(proven and calls and not any(call["allowed"] for call in calls), f"the cuts are not proven: {removals}")
    return [f"{call['tool']} for {call['person'] or 'itself'}: {call['code']}" for call in calls]


async def _cut_holds(stage: Stage, builder: AgentClient, repository: dict[str, Any]) -> None:
    """Call what was kept and what was cut, with the token that the agent holds."""
    kept = await stage.call(builder, "git", USED, repository, person=None)
    cut = await stage.call(builder, "git", UNUSED, {**repository, "revision": "HEAD"}, person=None)
    check(kept.allowed and not cut.allowed, f"what was kept and what was cut: {kept}, {cut}")
    stage.proven(
        8, "What was kept still works, and what was cut is denied at the gateway.", f"{UNUSED}: {code_of(cut)}"
    )


async def _nothing_issued(stage: Stage) -> None:
    """Ask for a token for what was removed."""
    forgotten = _player(stage, DROPPED)
    try:
        await forgotten.exchange("time", await forgotten.sign_in(FOR))
    except Refused as no:
        as_promised = no.answer.get("code") in ("no_grant", "grant_suspended")
        check(as_promised, f"the exchange was refused for another reason: {no.answer}")
        stage.proven(8, "What was removed gets no token any more.", f"{DROPPED}: {no.answer['code']}")
    else:
        check(holds=False, otherwise=f"{DROPPED} was given an ID-JAG after its access was removed")


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
    is_as_promised = (removed["outcome"], removed["decided_by"], removed["removal"]) == ("revoke", REVIEWER, "verified")
    check(
        rows.keys() == items.keys() and is_as_promised and removed["event"], f"the evidence says other things: {rows}"
    )
    table = audrey.get(f"campaigns/{CAMPAIGN}/evidence.csv")
    check(table.is_success and len(table.raw.splitlines()) == 1 + len(rows), f"the table was answered {table}")
    stage.proven(
        8,
        "The evidence adds up: who decided what and why, and the events of the record that say so.",
        ", ".join(f"{what.replace('_', ' ')} {difference}" for what, difference in evidence["tie_out"].items()),
        f"{DROPPED}: removed by {removed['decided_by']}, proven in event {removed['proof_event']}",
    )
