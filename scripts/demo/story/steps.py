"""Steps 1 to 4 of the main job: from an unknown system to a grant."""

from __future__ import annotations

from scripts.demo.data import world
from scripts.demo.story.agent_client import AgentClient, Credentials, Refused
from scripts.demo.story.browser import CALLBACK
from scripts.demo.story.stage import AGENT, CITIES, SYSTEM, USER, Stage, check, done, refused

SENTENCES = {
    "get_current_time": "Tells the time in a time zone.",
    "convert_time": "Converts a time between time zones.",
}


def system_is_registered(stage: Stage) -> None:
    """Step 1: an analyst registers a system; its tools are found, shown in plain words, classified and pinned."""
    ana = stage.api("ana")
    about = {
        "slug": SYSTEM,
        "name": "Office clock",
        "kind": "stdio",
        "command": "time",
        "owner": "sam",
    }
    done("Registering the system", ana.post("systems", about), 201)
    done("Discovering its tools", ana.post(f"systems/{SYSTEM}/discover", {}))
    listed = ana.every(f"tools?system={SYSTEM}")
    check({tool["name"] for tool in listed} == set(SENTENCES), f"other tools were found: {listed}")
    check(all(tool["state"] == "pending" for tool in listed), f"a new tool does not wait for a person: {listed}")
    for tool in listed:
        words = {"sentence": SENTENCES[tool["name"]], "action": "read", "risk": "low", "sha256": tool["seen"]["sha256"]}
        done("Approving a tool", ana.post(f"tools/{SYSTEM}/{tool['name']}/approve", words))
    bundle = {
        "system": SYSTEM,
        "scope": f"{SYSTEM}:read",
        "name": "Ask the clock",
        "lines": [{"tool": name, "limits": {}} for name in SENTENCES],
    }
    done("Making the entitlement", ana.post("entitlements", bundle), 201)
    stage.world["systems"][SYSTEM] = world.local_server(stage.world["console"], stage.world["gateway"], SYSTEM, "time")
    pins = [f"{tool['name']} pinned by {tool['seen']['sha256'][:16]}: {SENTENCES[tool['name']]}" for tool in listed]
    stage.proven(
        1, "An analyst registered an MCP server; each tool waited until a person described and pinned it.", *pins
    )


def agent_is_registered(stage: Stage) -> None:
    """Step 2: an agent with a sponsor and an owner, and its client, which works once the sponsor accepts it."""
    ana = stage.api("ana")
    about = {"slug": AGENT, "name": "Travel helper", "kind": "personal", "sponsor": USER, "owner": "otto"}
    done("Registering the agent", ana.post("agents", {**about, "purpose": "Plans Alice's trips."}), 201)
    client = {"client_id": AGENT, "agent": AGENT, "auth": "client_secret_basic", "redirect_uris": [CALLBACK]}
    credential = done("Asking for its client", stage.api("ana", proven=True).post("clients", client), 202)
    check(credential.get("secret"), f"the client's secret was not shown: {sorted(credential)}")
    sponsor = stage.api(USER, proven=True)
    done("Accepting its client", sponsor.post(f"client-credentials/{credential['id']}/accept", {}))
    stage.world["agents"][AGENT] = world.Agent(sponsor=USER, owner="otto", client_id=AGENT)
    stage.world["clients"][AGENT] = world.OAuthClient(
        agent=AGENT, auth="client_secret_basic", private_jwk={}, secret=credential["secret"]
    )
    stage.player = AgentClient(stage.world, Credentials(AGENT, stage.world["clients"][AGENT]), stage.trace)
    stage.proven(
        2,
        "An agent exists with a human sponsor and a technical owner, and one client, which its sponsor accepted.",
        AGENT,
    )


async def access_is_requested(stage: Stage) -> None:
    """Step 3: without a grant there is no token, and the refusal says where to ask; the owner asks."""
    player = stage.player
    try:
        await player.exchange(SYSTEM, await player.sign_in(USER))
    except Refused as refusal:
        answer = refusal.answer
    else:
        check(holds=False, otherwise="an agent without a grant was given an ID-JAG")
        return
    as_promised = (
        answer.get("error") == "access_denied" and answer.get("code") == "no_grant" and answer.get("evaluation_id")
    )
    check(as_promised, f"the refusal does not explain itself: {answer}")
    check(SYSTEM in answer.get("request_access", ""), f"the refusal does not say where to ask: {answer}")
    stage.proven(
        3,
        "Without a grant there is no token, and the refusal links to the request.",
        answer["code"],
        answer["request_access"],
    )
    otto = stage.api("otto")
    clock = {"agent": AGENT, "entitlement": f"{SYSTEM}:read", "people": [USER], "lasts": "PT8H"}
    request = done("Requesting access", otto.post("requests", {**clock, "reason": "Alice flies on Monday."}), 201)
    check(request["state"] == "in_approval", f"the request is not waiting: {request}")
    check(request["approvals"][0]["waiting_for"] == ["sam", "sofia"], f"it waits for others than promised: {request}")
    git = {"agent": AGENT, "entitlement": "git:read", "people": [USER], "lasts": "PT8H", "tools": ["git_log"]}
    stage.asked_git = done("Requesting the second", otto.post("requests", {**git, "reason": "The itinerary."}), 201)
    stage.asked = request
    stage.proven(
        3,
        "The owner asks; a personal agent's request waits for its user's manager or the system's owner.",
        request["id"],
    )


def request_is_approved(stage: Stage) -> None:
    """Step 4: the requester and the beneficiary cannot approve; the manager narrows, and her answer makes the grant."""
    request, where = stage.asked, f"requests/{stage.asked['id']}/approve"
    own = refused(
        "The requester's approval", stage.api("otto").post(where, {}, etag=request["etag"]), 403, "self_approval"
    )
    beneficiary = stage.api(USER).post(where, {}, etag=request["etag"])
    gains = refused("The beneficiary's approval", beneficiary, 403, "beneficiary_may_not_approve")
    stage.proven(
        4, "Neither the requester nor the person who gains can approve the request.", f"otto: {own}", f"{USER}: {gains}"
    )
    less = {
        "tools": ["get_current_time"],
        "limits": {"get_current_time": {"timezone": {"one_of": CITIES}}},
        "lasts": "PT1H",
        "reason": "Two cities are enough.",
    }
    sofia = stage.api("sofia")
    approved = done("The manager's approval", sofia.post(where, less, etag=request["etag"]))
    check(approved["state"] == "approved" and approved["grant"], f"the last approval made no grant: {approved}")
    held = stage.api("otto").every(f"grants?agent={AGENT}&system={SYSTEM}&state=active")
    lines = {line["tool"]: line["limits"] for grant in held for line in grant["lines"]}
    check(lines == less["limits"], f"the grant is not what was approved: {held}")
    where = f"requests/{stage.asked_git['id']}/approve"
    git = done("The second approval", sofia.post(where, {}, etag=stage.asked_git["etag"]))
    stage.grants = {SYSTEM: approved["grant"], "git": git["grant"]}
    stage.proven(
        4, "The manager narrowed the request to one tool and two cities; her answer made the grant.", approved["grant"]
    )
