"""What stands above the grants, one of each kind, so that no page of it is empty; and a call that it denied."""

from __future__ import annotations

from typing import Any

from scripts.demo.story.agent_client import AgentClient
from scripts.demo.story.stage import DENIAL, Stage, check, done

AGENT, SYSTEM, TOOL, FOR = "parcel-bot", "parcels", "announce_parcel", "bob"
HEAVY: dict[str, Any] = {
    "name": "No heavy parcels",
    "effect": "forbid",
    "when": {"tool": f"{SYSTEM}/{TOOL}", "argument": {"body.grams": {"min": 20_000}}},
}
QUESTION: dict[str, Any] = {
    "kind": "guardrail",
    "name": "No payments by agents",
    "effect": "forbid",
    "when": {"tool": "erp/pay_invoice"},
}
DOMAIN = {
    "enforcement_points": [],
    "subject_types": {"user": {"stated": ["department"]}},
    "resource_types": {"document": {"actions": ["read", "share"], "stated": ["class"]}},
    "subjects": [{"type": "user", "id": "alice", "properties": {"department": "Sales"}}],
    "resources": [{"type": "document", "id": "price-list", "properties": {"class": "internal", "owner": "alice"}}],
    "rules": [
        {
            "name": "Sales reads what is internal",
            "resource_type": "document",
            "actions": ["read"],
            "when": [
                {"attribute": "subject.properties.department", "is": "Sales"},
                {"attribute": "resource.properties.class", "is": "internal"},
            ],
        }
    ],
}
"""What the vendor's suite may ask about its own documents (docs/operate/authzen.md)."""


async def rules_stand_above_grants(stage: Stage) -> None:
    """A guardrail that two people agreed on denies a granted call; a budget, a session policy, a policy domain."""
    ana, admin, resa = stage.api("ana"), stage.api("admin", proven=True), stage.api("resa", proven=True)
    _asked(stage)
    proposed = done("Proposing a guardrail", admin.post("guardrails", {**HEAVY, "mode": "enforce"}), 201)
    why = {"reason": "The carrier takes no more than 20 kg."}
    done("Confirming the guardrail", resa.post(f"guardrails/{proposed['id']}/confirm", why))
    policy = {"name": "personal-agents", "applies_to": {"agent_kind": "personal"}, "absolute": "PT8H", "idle": "PT30M"}
    policy |= {"reason": "A working day."}
    made = done("Proposing a session policy", admin.post("session-policies", policy), 201)
    done("Confirming the session policy", resa.post(f"session-policies/{made['id']}/confirm", {}))
    daily = {"agent": AGENT, "unit": "calls", "amount": "200", "window": "P1D", "reason": "More than it ever needed."}
    done("Setting a budget", ana.post("budgets", daily), 201)
    loaded = {"document": DOMAIN, "reason": "The suite asks us about its documents."}
    done("Loading a policy domain", stage.api("sam", proven=True).put("systems/suite/policy-domain", loaded))
    player = AgentClient.of(stage.world, AGENT)
    light = await stage.call(player, SYSTEM, TOOL, {"body": {"to": "Porto", "grams": 900}}, person=FOR)
    check(light.allowed, f"a light parcel was not announced: {light}")
    heavy = await stage.call(player, SYSTEM, TOOL, {"body": {"to": "Porto", "grams": 25_000}}, person=FOR)
    check(not heavy.allowed and DENIAL in heavy.meta, f"a heavy parcel was not denied: {heavy}")
    denial = heavy.meta[DENIAL]
    stage.proven(
        10,
        "A guardrail that two people agreed on denies a call that the grant allows, and says why.",
        f"{denial['code']}: {' '.join(denial['reasons'])}",
        "beside it: a budget, a session policy, and a policy domain of a system that asks for itself",
    )


def _asked(stage: Stage) -> None:
    """Ask what a guardrail would have denied, and wait for the replay."""
    ana = stage.api("ana")
    begun = done("Asking a what-if", ana.post("decisions/what-if", {"change": QUESTION, "days": 30}))

    def answer() -> dict[str, Any] | None:
        seen = done("Reading the what-if", ana.get(f"decisions/what-if/{begun['id']}"))
        return seen if seen["state"] not in ("waiting", "running") else None

    seen = stage.wait("the worker to replay the what-if", answer)
    check(seen["state"] == "finished", f"the what-if was not answered: {seen}")
    stage.proven(10, "A what-if replays a guardrail over recorded calls, and changes nothing.", QUESTION["name"])
