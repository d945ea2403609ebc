"""Steps 5 to 7 of the main job: the user's client calls, each call is decided, and a revocation stops the next one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any

from joserfc import jwk, jws
from mcp import Client

from scripts.demo.servers.local_server import SEEN, digest
from scripts.demo.servers.packages import SERVERS
from scripts.demo.story import browser
from scripts.demo.story.agent_client import AgentClient, CallOutcome, Era, Refused, refusal
from scripts.demo.story.stage import AGENT, CITIES, DENIAL, SYSTEM, USER, Stage, check, done

ERAS: tuple[Era, Era] = ("2026-07-28", "legacy")
REST_CALLS = (
    ("GET", "/items/P-1001", HTTPStatus.OK),
    ("DELETE", "/items/P-1001", HTTPStatus.FORBIDDEN),
    ("GET", "/items?owner=me", HTTPStatus.BAD_REQUEST),
    ("GET", "/items/..%2fitems", HTTPStatus.BAD_REQUEST),
)
"""What is asked of the REST API: a granted operation, one that is not, and two requests that mean none."""


async def tools_are_called(stage: Stage) -> None:
    """Step 5: sign-in, ID-JAG, access token, a filtered list, calls; both protocol eras, two real servers."""
    player = stage.player
    id_jag = await player.exchange(SYSTEM, await player.sign_in(USER))
    claims = claims_of(id_jag["access_token"])
    target = stage.world["systems"][SYSTEM]
    as_promised = (claims["aud"], claims.get("resource")) == (target["issuer"], target["resource"])
    check(as_promised and claims["client_id"] == AGENT, f"the ID-JAG is for something else: {claims}")
    token = await player.redeem(SYSTEM, id_jag["access_token"])
    held = claims_of(token["access_token"])
    lives = held["exp"] - held["iat"]
    check(held["aud"] == target["resource"] and lives <= 300, f"the access token says other things: {held}")  # noqa: PLR2004
    check(held["sub"] == USER and held["act"]["sub"] == AGENT, f"the access token names others: {held}")
    stage.proven(
        5,
        "Alice's ID token became an ID-JAG, and that an access token for this one server.",
        f"sub {held['sub']}, act {held['act']['sub']}, scope {held['scope']}, lives {lives} s, sid {held['sid']}",
    )
    seen = []
    own = await browser.sign_in(player, USER, stage.world["people"][USER]["password"])
    again = await player.exchange(SYSTEM, own)
    check(
        claims_of(again["access_token"])["sub"] == USER, f"our own ID token was exchanged for another person: {again}"
    )
    stage.proven(
        5, "Signing in at Mandate itself, by code and PKCE, serves as well.", f"ID token of {claims_of(own)['iss']}"
    )
    for era in ERAS:
        listed = [tool["name"] for tool in await player.list_tools(SYSTEM, person=USER, era=era)]
        check(listed == ["get_current_time"], f"tools/list ({era}) is not what was granted: {listed}")
        time = await stage.call(player, SYSTEM, "get_current_time", {"timezone": CITIES[0]}, person=USER, era=era)
        check(time.allowed and CITIES[0] in time.text, f"the granted call ({era}) failed: {time}")
        seen.append(f"{era}: {json.loads(time.text)['datetime']} in {CITIES[0]}")
    stage.proven(5, "In both protocol eras the agent sees the one tool it may use, and the call goes through.", *seen)
    repository = {"repo_path": stage.resources["repository"]}
    for era in ERAS:
        log = await stage.call(player, "git", "git_log", repository, person=USER, era=era)
        check(log.allowed and "Begin." in log.text, f"the second server's call ({era}) failed: {log}")
    stage.proven(5, "A second real server answers under its own grant, in both eras.", "git_log shows “Begin.”")


async def rest_is_called(stage: Stage) -> None:
    """Step 5: a REST API that knows nothing of MCP is called by MCP and by REST, under one grant."""
    player = AgentClient.of(stage.world, "parcel-bot")
    by_mcp = await stage.call(player, "parcels", "show_parcel", {"number": "P-1001"}, person="bob")
    check(by_mcp.allowed and "Lisbon" in by_mcp.text, f"the REST API's call by MCP failed: {by_mcp}")
    address = stage.world["systems"]["parcels"]["resource"].removesuffix("/mcp") + "/http"
    id_jag = await player.exchange("parcels", await player.sign_in("bob"), resource=address)
    token = (await player.redeem("parcels", id_jag["access_token"], resource=address))["access_token"]
    seen = []
    async with player.http() as http:
        for method, path, status in REST_CALLS:
            answer = await http.request(method, f"{address}{path}", headers={"Authorization": f"Bearer {token}"})
            check(answer.status_code == status, f"{method} {path} was answered {answer.status_code}: {answer.text}")
            seen.append(f"{method} {path}: {status} {answer.json().get('code', answer.json().get('to', ''))}")
    stage.proven(5, "A REST API stands behind the same gateway, called by MCP and by REST.", *seen)


async def calls_are_decided(stage: Stage) -> None:
    """Step 6: what the grant does not cover is denied with a reason and a way on, and never reaches the server."""
    before = noted("time")["calls"]
    other = await denied(stage, "convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "UTC"})
    check(other["code"] == "no_grant", f"a tool outside the grant was denied for another reason: {other}")
    check(f"agent={AGENT}" in other.get("request_access", ""), f"the denial does not say where to ask: {other}")
    stage.proven(
        6, "A tool outside the grant is denied, with a link to ask for it.", other["code"], other["request_access"]
    )
    far = await denied(stage, "get_current_time", {"timezone": "America/New_York"})
    check(
        far["code"] == "argument_outside_limit", f"an argument outside its limit was denied for another reason: {far}"
    )
    stage.proven(6, "An argument outside its limit is denied.", f"{far['code']}: {' '.join(far['reasons'])}")
    after = noted("time")
    check(before > 0, "the calls that were allowed did not reach the server")
    check(after["calls"] == before, f"denied calls reached the server: {before} calls became {after['calls']}")
    for slug in SERVERS:
        arrived = noted(slug)["tokens"]
        leaked = {digest(token.encode()) for token in stage.player.tokens} & arrived
        check(not leaked and not arrived, f"a token of the caller reached {slug}")
    stage.proven(
        6,
        "No denied call and none of the caller's tokens reached a server, each a child of the gateway's.",
        f"{len(stage.player.tokens)} tokens looked for, {after['calls']} calls arrived",
    )


async def grant_is_revoked(stage: Stage) -> None:
    """Step 7: the receipt names every gateway node; the next call on the open connection and the next exchange fail."""
    revocation = {
        "target": {"type": "grant", "id": stage.grants[SYSTEM]},
        "reason": "The trip is cancelled.",
        "wait": True,
    }
    arguments = {"timezone": CITIES[0]}
    async with stage.player.connected(SYSTEM, person=USER) as client:
        check(
            not (await client.call_tool("get_current_time", arguments)).is_error,
            "the call before the revocation failed",
        )
        ana = stage.api("ana")
        receipt = done("Revoking the grant", await asyncio.to_thread(ana.post, "revocations", revocation), 201)
        outcome = await call_open(client, "get_current_time", arguments)
    answered = {acknowledgement["node"]: acknowledgement["after_ms"] for acknowledgement in receipt["acknowledged"]}
    check(len(answered) == stage.resources["nodes"] and not receipt["missing"], f"not every node obeyed: {receipt}")
    check(await signed_by_us(stage, receipt["receipt"]), f"the receipt is not signed by our key: {receipt['receipt']}")
    obeyed = [f"{node} obeyed after {after} ms" for node, after in answered.items()]
    stage.proven(7, "An analyst revoked the grant; every gateway node obeyed, says the signed receipt.", *obeyed)
    check(not outcome.allowed, f"a call after the revocation went through: {outcome}")
    stage.proven(7, "The next call on the connection that was open all along is denied.", code_of(outcome))
    try:
        await stage.player.exchange(SYSTEM, await stage.player.sign_in(USER))
    except Refused as no:
        as_promised = no.answer.get("error") == "access_denied"
        check(as_promised, f"the exchange was refused for another reason: {no.answer}")
        stage.proven(7, "The next exchange is refused.", f"{no.answer['error']}: {no.answer['code']}")
    else:
        check(holds=False, otherwise="an ID-JAG was issued after the revocation")


async def denied(stage: Stage, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a tool that must be denied, in both eras; return what the denial says. Raises DoesNotHold."""
    denial: dict[str, Any] = {}
    for era in ERAS:
        outcome = await stage.player.call(SYSTEM, tool, arguments, person=USER, era=era)
        check(not outcome.allowed and DENIAL in outcome.meta, f"{tool} ({era}) was not denied as promised: {outcome}")
        denial = outcome.meta[DENIAL]
        check(denial.get("evaluation_id"), f"the denial names no event: {denial}")
    return denial


async def call_open(client: Client, tool: str, arguments: dict[str, Any]) -> CallOutcome:
    """Call on an open connection and return what was seen, refusals included."""
    try:
        result = await client.call_tool(tool, arguments)
    except Exception as error:  # noqa: BLE001 - whatever the SDK makes of a refusal
        return refusal(error)
    text = "\n".join(part.text for part in result.content if part.type == "text")
    return CallOutcome(not result.is_error, text, "result", result.structured_content, dict(result.meta or {}))


def code_of(outcome: CallOutcome) -> str:
    """Return the word of a denial, wherever it stands."""
    return str(outcome.meta.get(DENIAL, {}).get("code") or outcome.text)


def claims_of(token: str) -> dict[str, Any]:
    """Read the claims of a token, as its holder may; who verifies it is the server."""
    claims: dict[str, Any] = json.loads(jws.extract_compact(token.encode()).payload)
    return claims


async def signed_by_us(stage: Stage, receipt: str) -> bool:
    """Say whether a key that is published for what is kept has signed the receipt."""
    async with stage.player.http() as http:
        keys = (await http.get(f"{stage.world['console']}/records/jwks.json")).json()
    return bool(jws.deserialize_compact(receipt, jwk.KeySet.import_key_set(keys), algorithms=["ES256"]).payload)


def noted(slug: str) -> dict[str, Any]:
    """Return what the children of a sample server noted about all that arrived there, in their scratch folders."""
    calls, tokens = 0, set[str]()
    for place in Path(tempfile.gettempdir()).glob(f"mandate-stdio-*/{SEEN}"):
        with contextlib.suppress(OSError):  # a child that ends takes its folder along
            notes = json.loads(place.read_text())
            if notes["server"] == SERVERS[slug][1]:
                calls, tokens = calls + notes["calls"], tokens | set(notes["tokens"])
    return {"calls": calls, "tokens": tokens}
