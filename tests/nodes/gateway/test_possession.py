"""Bound tokens at the gateway: each path asks for a proof of this very request, and takes it once over all nodes."""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import pytest
from django.conf import settings

from audit import clock
from entitlements import addresses
from entitlements.catalog import systems
from entitlements.clients.models import Client
from entitlements.dpop import nonces, proofs
from entitlements.keys import signing
from entitlements.secrets.seal import RootKey
from entitlements.sessions.models import Session
from entitlements.tokens.models import UsedAssertion
from tests import make, waits
from tests.conformance import servers
from tests.nodes.gateway import test_authzen, world
from tests.nodes.gateway.world import META, MODERN, Gateway, World
from tests.proofs import Holder

HOLDER, OTHER = Holder(), Holder()
LEGACY = "2025-11-25"
HTTP = httpx2.Client(timeout=waits.SECONDS)


@pytest.fixture(scope="module")
def second(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with world.gateway("node-2") as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    """Let go of the connections to the nodes."""
    yield
    HTTP.close()


def bound(here: World, **changes: object) -> str:
    return here.token(cnf={"jkt": HOLDER.thumbprint}, **changes)


@dataclass(frozen=True)
class Path:
    """One way in, with all that a request there needs but the token and its proof."""

    method: str
    where: str
    message: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes | None:
        return None if self.message is None else json.dumps(self.message).encode()

    def prove(self, of: str, holder: Holder = HOLDER, **spoiled: Any) -> str:
        """Make a proof for a request with this token."""
        usual = {"token": of, "body": self.body, **spoiled}
        return holder.prove(usual.pop("htm", self.method), settings.GATEWAY_URL + self.where, **usual)

    def send(self, node: Gateway, token: str, *proof: str, scheme: str = "DPoP") -> httpx2.Response:
        """Send it with these proofs. Of a stream only its beginning is awaited."""
        sent = [("Authorization", f"{scheme} {token}"), *(("DPoP", each) for each in proof), *self.headers.items()]
        sent += [("Content-Type", "application/json")] if self.message is not None else []
        with HTTP.stream(self.method, node.base + self.where, content=self.body, headers=sent) as answer:
            if answer.headers.get("content-type") != "text/event-stream" or self.method != "GET":
                answer.read()
            return answer


def modern(here: World, method: str, slug: str = "", **params: object) -> Path:
    slug = slug or here.system.slug
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    headers |= {"Mcp-Name": str(params["name"])} if "name" in params else {}
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": META, **params}}
    return Path("POST", path_of(slug), message, headers)


def path_of(slug: str) -> str:
    return "/gw/mcp" if slug == addresses.ALL else f"/gw/{slug}/mcp"


def call(here: World) -> Path:
    return modern(here, "tools/call", name=here.tool.name, arguments=here.arguments)


def begun(node: Gateway, here: World, token: str) -> dict[str, str]:
    """Begin a session of the 2025 era and return the headers that name it."""
    hello = legacy(here, "initialize", {}, protocolVersion=LEGACY, capabilities={}, clientInfo={})
    answer = hello.send(node, token, hello.prove(token))
    assert answer.status_code == 200, answer.text
    return {"Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": LEGACY}


def legacy(here: World, method: str, session: Mapping[str, str], **params: object) -> Path:
    named = {} if method.startswith("notifications/") else {"id": "a"}
    message = {"jsonrpc": "2.0", **named, "method": method, "params": params}
    return Path("POST", path_of(here.system.slug), message, session)


def paths(node: Gateway, here: World, token: str) -> dict[str, Path]:
    session, dies = begun(node, here, token), begun(node, here, token)
    called = {"name": here.tool.name, "arguments": here.arguments}
    return {
        "tools/call": call(here),
        "tools/list": modern(here, "tools/list"),
        "server/discover": modern(here, "server/discover"),
        "request_access": modern(here, "tools/call", name="request_access", arguments={"reason": "x"}),
        "an unknown method": modern(here, "prompts/list"),
        "initialize": legacy(here, "initialize", {}, protocolVersion=LEGACY, capabilities={}, clientInfo={}),
        "ping of a session": legacy(here, "ping", session),
        "tools/list of a session": legacy(here, "tools/list", session),
        "tools/call of a session": legacy(here, "tools/call", session, **called),
        "a notification": legacy(here, "notifications/cancelled", session, requestId=1),
        "the stream of a session": Path("GET", path_of(here.system.slug), headers=session),
        "the end of a session": Path("DELETE", path_of(here.system.slug), headers=dies),
    }


SPOILED: dict[str, dict[str, Any]] = {
    "another method": {"htm": "PUT"},
    "another address": {"htu": "http://localhost:8001/gw/other/mcp"},
    "the address that a Host header says": {"htu": "http://127.0.0.1/gw/mcp"},
    "too old": {"iat": 1_700_000_000},
    "no name": {"jti": None},
    "another token": {"token": "another"},
    "no token": {"ath": None},
    "a nonce that was made up": {"nonce": "made-up"},
    "another key": {"holder": OTHER},
    "a key of another": {"header": {"jwk": OTHER.public}},
}
OF_BODIES: dict[str, dict[str, Any]] = {"another body": {"body": b"{}"}}


def code(answer: httpx2.Response) -> str:
    found = answer.json()
    return str(found.get("error", {}).get("data", found).get("code", ""))


def test_each_path_refuses_each_spoiled_proof_and_takes_the_right_one_once(node: Gateway, here: World) -> None:
    token = bound(here)
    for name, path in paths(node, here, token).items():
        spoiled = SPOILED | (OF_BODIES if path.body is not None else {})
        good = path.prove(token)
        wrong = {what: path.prove(token, **how) for what, how in spoiled.items()}
        before = len(here.events())
        for what, proof in wrong.items():
            answer = path.send(node, token, proof)
            expected = "proof_nonce_needed" if "nonce" in what else "proof_invalid"
            assert (answer.status_code, code(answer)) == (401, expected), (name, what, answer.text)
            assert answer.headers["www-authenticate"].startswith("DPoP "), (name, what)
        for what, answer in {
            "no proof": path.send(node, token),
            "two proofs": path.send(node, token, good, path.prove(token)),
            "as a bearer token": path.send(node, token, path.prove(token), scheme="Bearer"),
            "as a bearer token without a proof": path.send(node, token, scheme="Bearer"),
            "an unbound token": path.send(node, here.token(), path.prove(token)),
        }.items():
            assert (answer.status_code, code(answer)) == (401, "proof_invalid"), (name, what, answer.text)
            assert answer.headers["www-authenticate"].startswith("DPoP "), (name, what)
        assert len(here.events()) == before, name

        taken = path.send(node, token, good)
        assert taken.status_code not in (401, 500, 503), (name, taken.text)
        assert taken.headers["dpop-nonce"]
        again = path.send(node, token, good)
        assert (again.status_code, code(again)) == (401, "proof_invalid"), (name, again.text)


def test_a_bound_call_goes_upstream_once_and_the_proof_never(node: Gateway, second: Gateway, here: World) -> None:
    token = bound(here)
    path = call(here)
    proof = path.prove(token)
    assert path.send(node, token, proof).json()["result"]["structuredContent"]["timezone"] == "UTC"
    for other in (second, node):
        refused = path.send(other, token, proof)
        assert (refused.status_code, code(refused)) == (401, "proof_invalid")
        assert refused.json()["error"]["data"]["evaluation_id"]
    waits.until(lambda: len(here.calls()) == 4)
    assert sorted(here.calls()) == ["call.allowed", "call.denied", "call.denied", "call.finished"]
    name = json.loads(json.dumps(proofs.read(proof).jti))
    assert UsedAssertion.objects.filter(issuer=f"dpop:{HOLDER.thumbprint}", jti=name).count() == 1


def test_of_many_at_once_over_two_nodes_one_takes_a_proof_and_others_are_not_held_up(
    node: Gateway, second: Gateway, here: World
) -> None:
    token, plain = bound(here), here.token()
    path = call(here)
    proofs_of_two = [path.prove(token), path.prove(token)]

    def send(number: int) -> httpx2.Response:
        where = (node, second)[number % 2]
        if number % 4 == 3:
            return where.call(here, plain)
        return path.send(where, token, proofs_of_two[number % 3 % 2])

    with ThreadPoolExecutor(12) as pool:
        answers = [*pool.map(send, range(48))]
    bearer = [answer for number, answer in enumerate(answers) if number % 4 == 3]
    assert {answer.status_code for answer in bearer} == {200}
    proven = [answer for number, answer in enumerate(answers) if number % 4 != 3]
    assert sorted(answer.status_code for answer in proven) == [200] * 2 + [401] * (len(proven) - 2)
    assert {code(answer) for answer in proven if answer.status_code == 401} == {"proof_invalid"}
    assert here.calls().count("call.allowed") == 2 + len(bearer)


def test_a_proof_at_one_node_is_used_at_the_other_where_no_event_is_written(
    node: Gateway, second: Gateway, here: World
) -> None:
    token = bound(here)
    path = modern(here, "tools/list")
    proof = path.prove(token)
    assert path.send(node, token, proof).status_code == 200
    assert code(path.send(second, token, proof)) == "proof_invalid"


def test_an_issuer_takes_a_proof_once_over_all_nodes(node: Gateway, second: Gateway, here: World) -> None:
    client, secret = make.client(here.agent, f"bot-{uuid.uuid4().hex[:8]}", auth=Client.Auth.CLIENT_SECRET_BASIC)
    make.grant(here.agent, here.entitlement)
    path = addresses.issuer_path(here.system.slug)
    signing.ensure(path)
    proof = HOLDER.prove("POST", f"{addresses.endpoints(path)}/token")

    def issue(where: Gateway) -> httpx2.Response:
        form, auth = {"grant_type": "client_credentials"}, (client.client_id, secret)
        return httpx2.post(
            f"{where.base}/{path}/token", data=form, headers={"DPoP": proof}, auth=auth, timeout=waits.SECONDS
        )

    with ThreadPoolExecutor(2) as pool:
        answers = [*pool.map(issue, (node, second)), issue(node), issue(second)]
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_dpop_proof"}
    (issued,) = [answer.json() for answer in answers if answer.status_code == 200]
    listed = modern(here, "tools/list")
    assert listed.send(second, issued["access_token"], listed.prove(issued["access_token"])).status_code == 200


def test_a_denied_call_uses_its_proof_up_too(node: Gateway, here: World) -> None:
    token = bound(here)
    path = modern(here, "tools/call", name="no_such_tool", arguments={})
    proof = path.prove(token)
    assert path.send(node, token, proof).status_code == 200  # denied as the result of a tool
    assert code(path.send(node, token, proof)) == "proof_invalid"


def test_a_public_client_proves_with_a_nonce_of_any_node(
    node: Gateway, second: Gateway, time_server: servers.Upstream
) -> None:
    here = world.build(time_server.url, time_server.secret)
    client, _ = make.client(here.agent, f"desk-{uuid.uuid4().hex[:8]}", auth=Client.Auth.NONE)
    session = Session.objects.get(pk=here.session.pk)
    session.pk, session.client, session._state.adding = uuid.uuid4(), client, True
    session.save()
    here = replace(here, client=client, session=session)
    token, path = bound(here), call(here)
    first = path.send(node, token, path.prove(token))
    assert (first.status_code, code(first)) == (401, "proof_nonce_needed")
    assert 'error="use_dpop_nonce"' in first.headers["www-authenticate"]
    assert here.calls() == []
    nonced = path.prove(token, nonce=first.headers["dpop-nonce"])
    assert path.send(second, token, nonced).json()["result"]["structuredContent"]["timezone"] == "UTC"
    stale = nonces.current(clock.now().timestamp() - 2 * nonces.SECONDS, RootKey.GENERAL)
    assert code(path.send(node, token, path.prove(token, nonce=stale))) == "proof_nonce_needed"


def test_the_address_of_all_systems_and_the_decision_point_ask_for_the_proof_too(node: Gateway, here: World) -> None:
    asked = Path("POST", "/access/v1/evaluation", test_authzen.question(here))
    token = test_authzen.caller(cnf={"jkt": HOLDER.thumbprint})
    proof = asked.prove(token, body=None)
    assert asked.send(node, token, proof).json()["decision"] is True
    for answer in (
        asked.send(node, token, proof),
        asked.send(node, token),
        asked.send(node, token, asked.prove(token, body=b"{}")),
        asked.send(node, token, asked.prove(token, OTHER)),
        asked.send(node, token, asked.prove(token, htm="GET")),
        asked.send(node, token, asked.prove(token), scheme="Bearer"),
        asked.send(node, test_authzen.caller(), asked.prove(token)),
    ):
        assert (answer.status_code, code(answer)) == (401, "proof_invalid"), answer.text
        assert answer.headers["www-authenticate"].startswith("DPoP "), answer.headers

    everything = replace(here, system=systems.ensure_all_systems())
    token, at_all = bound(everything), modern(here, "tools/list", addresses.ALL)
    assert code(at_all.send(node, token, at_all.prove(token, OTHER))) == "proof_invalid"
    assert code(at_all.send(node, token, at_all.prove(token), scheme="Bearer")) == "proof_invalid"
    assert at_all.send(node, token, at_all.prove(token)).status_code == 200


def test_the_resource_metadata_names_the_algorithms_of_proofs(node: Gateway, here: World) -> None:
    said = httpx2.get(f"{node.base}/.well-known/oauth-protected-resource/gw/{here.system.slug}/mcp").json()
    assert said["dpop_signing_alg_values_supported"] == list(proofs.ALGORITHMS)
    assert "dpop_bound_access_tokens_required" not in said


def test_a_node_that_requires_proofs_takes_no_bearer_token_and_says_so(here: World) -> None:
    with world.gateway("node-3", DPOP_REQUIRED="all") as strict:
        said = httpx2.get(f"{strict.base}/.well-known/oauth-protected-resource/gw/{here.system.slug}/mcp").json()
        assert said["dpop_bound_access_tokens_required"] is True
        path, token, unbound = call(here), bound(here), here.token()
        assert code(path.send(strict, unbound, scheme="Bearer")) == "proof_invalid"
        assert code(path.send(strict, token, path.prove(token, content_digest=None))) == "proof_invalid"
        assert path.send(strict, token, path.prove(token)).status_code == 200


def test_a_proof_that_names_no_digest_of_the_body_is_taken_where_bearer_tokens_are(node: Gateway, here: World) -> None:
    path, token = call(here), bound(here)
    assert path.send(node, token, path.prove(token, content_digest=None)).status_code == 200
