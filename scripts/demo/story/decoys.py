"""A curious agent: it calls a tool that nothing needs, and what follows is told to people of security alone."""

from __future__ import annotations

from typing import Any, Final

from scripts.demo.story.agent_client import AgentClient
from scripts.demo.story.stage import Stage, check, done

NAME: Final = "export_all_addresses"
AGENT: Final = "parcel-bot"


async def decoy_is_touched(stage: Stage) -> None:
    """Step 6: a decoy is listed, called, and answered as a failure; risk, suspension in observe, timeline."""
    ana = stage.api("ana")
    planted = {
        "name": NAME,
        "beside": "parcels/show_parcel",
        "description": "Exports the address of every customer.",
        "answer": "Internal error. Try again later.",
        "agents": [AGENT],
        "reason": "No task needs it.",
    }
    decoy = done("Planting a decoy", ana.post("decoys", planted), 201)
    player = AgentClient.of(stage.world, AGENT)
    listed = [tool["name"] for tool in await player.list_tools("parcels", person="bob", era="2026-07-28")]
    check(NAME in listed and listed == sorted(listed), f"the decoy does not stand in the list: {listed}")
    curious = await player.call("parcels", NAME, {"number": "P-1001"}, person="bob")
    check(not curious.allowed and "Internal error" in curious.text, f"the decoy was answered otherwise: {curious}")
    stage.proven(6, "A curious agent called a decoy, and saw a failure like any other.", NAME, curious.text[:80])
    signal = _signal(stage)
    agent = done("Reading the agent", ana.get(f"agents/{AGENT}"))
    check((agent["risk_level"], agent["status"]) == ("high", "active"), f"the agent is not at risk: {agent}")
    check((signal["response"], signal["outcome"]) == ("suspend", "observed"), f"another response: {signal}")
    stage.proven(
        6,
        "Its risk level is high at once; it would be suspended, which is only observed until two people agree.",
        f"{signal['kind']}: {signal['response']}, {signal['outcome']}",
        "an event-triggered review of it opens within a minute",
    )
    events = [each["action"] for each in ana.every(f"audit-events?about=decoy:{decoy['id']}")]
    told = [each["action"] for each in stage.api("otto").every(f"audit-events?about=agent:{AGENT}")]
    check(events == ["decoy.planted", "decoy.touched"], f"the timeline tells something else: {events}")
    check(not any(action.startswith(("decoy", "risk")) for action in told), f"its owner sees it: {told}")
    stage.proven(6, "The timeline tells people of security, and not who answers for the agent.", *events)


def _signal(stage: Stage) -> dict[str, Any]:
    """Wait until the worker has noted the signal. Raises DoesNotHold."""

    def found() -> dict[str, Any] | None:
        noted = [each for each in stage.api("ana").every("risk") if each["kind"] == "decoy_touched"]
        return dict(noted[0]) if noted else None

    return stage.wait("the signal of the decoy", found)
