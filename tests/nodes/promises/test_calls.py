"""The promises of the product, for each way through the gateway: the server's own log says what arrived there."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from urllib.parse import quote_plus
from uuid import uuid4

import httpx2
import psycopg
import pytest
from django.test import override_settings
from joserfc import jwk

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.catalog.models import System, Tool
from entitlements.grants import grants
from entitlements.keys import jws
from entitlements.rest_apis.models import RestApi
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from entitlements.secrets import vault
from governance.notices import listener
from governance.reviews.usage import usage
from governance.webhooks import webhooks
from governance.webhooks.webhooks import EVENTS
from tests import databases, make, waits
from tests.attacks.test_secrets_at_rest import _rows as rows
from tests.attacks.test_secrets_at_rest import _tables as tables
from tests.entitlements.api import client as api
from tests.entitlements.upstream.token_server import Client, TokenServer
from tests.nodes.gateway import scripted
from tests.nodes.gateway.test_matrix import SPOILERS, STRANGERS, UNSEEN
from tests.nodes.gateway.test_revocation import waits_for_the_record
from tests.nodes.gateway.world import Gateway, World
from tests.nodes.promises import ways
from tests.nodes.promises.conftest import Sites
from tests.nodes.promises.ways import SECRET, Place, Reply
from tests.promises import table
from tests.promises.table import GATEWAY, MCP, REST, REST_BY_MCP, STDIO, also, cells

REASON = "for a test"
ENDS = ("call.finished", "call.withdrawn", "call.indeterminate")


def goes_through(ask: Callable[[], Reply]) -> None:
    """Ask until it goes through, since the node may still hear of what was made just now."""
    answers_with("", ask)


def answers_with(code: str, ask: Callable[[], Reply]) -> None:
    """Ask until the answer has this code."""
    waits.until(lambda: ask().code == code)


def is_refused(place: Place, here: World, code: str, ask: Callable[[], Reply], *, is_stranger: bool = False) -> None:
    """Check that a call is refused with a code and one event, and that nothing arrived."""
    answers_with(code, ask)
    waits.until(lambda: here.calls().count("call.allowed") == sum(map(here.calls().count, ENDS)))
    arrived, before = len(place.upstream.calls), here.events()
    answer = ask()
    assert answer.code == code, answer
    assert len(place.upstream.calls) == arrived
    found = [(each.action, each.code) for each in here.events()[len(before) :]]
    assert found == ([] if is_stranger else [("call.denied", code)])
    if not is_stranger:
        assert str(here.events()[-1].uuid) == answer.evaluation
    assert SECRET not in answer.text


@cells(1, *GATEWAY)
def test_no_call_without_a_grant_that_covers_agent_user_tool_and_arguments(node: Gateway, place: Place) -> None:
    here = place.world(limits={"text": {"one_of": ["a b", "c"]}})
    token = place.token(here)
    assert place.call(node, here, token, text="c").code == ""
    arrived = len(place.upstream.calls)
    is_refused(place, here, "argument_outside_limit", lambda: place.call(node, here, token, text="other"))
    is_refused(place, here, "no_grant", lambda: place.call(node, here, token, tool="delete_note", text="c"))
    grants.revoke(here.grant.pk, by=SYSTEM, reason=REASON)
    make.grant(here.agent, here.entitlement, people=[make.person()])
    make.grant(make.agent(), here.entitlement, people=[here.person])
    is_refused(place, here, "no_grant", lambda: place.call(node, here, token, text="c"))
    assert len(place.upstream.calls) == arrived


@cells((2, "receipt"), *GATEWAY)
def test_a_revocation_cuts_the_call_under_way_and_refuses_the_next(node: Gateway, place: Place) -> None:
    here = place.world()
    token = place.token(here)
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(place.call, node, here, token, text="x", do="hang")
        assert place.upstream.started.wait(waits.SECONDS)
        receipt = revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason=REASON)
        assert "promises-1" in {each["node"] for each in receipt.acknowledged}
        assert jws.read(receipt.receipt).claims["covered"] == receipt.covered
        assert place.call(node, here, token).code == "no_grant"
        assert hanging.result(waits.SECONDS).code == "call_withdrawn"
    assert len(place.upstream.calls) == 1
    waits.until(lambda: sorted(here.calls()) == ["call.allowed", "call.denied", "call.indeterminate"])


@pytest.mark.parametrize("spoilt", SPOILERS)
@also(3, REST_BY_MCP)
@cells(3, MCP, REST, STDIO)
def test_no_token_outlives_what_it_stands_on(sites: Sites, node: Gateway, place: Place, spoilt: str) -> None:
    here = place.world()
    spoil, code = SPOILERS[spoilt]
    used = [place]
    if place.way == REST and spoilt != "token revoked":  # which revokes the newest, that of REST
        used = [sites.places[REST_BY_MCP], place]
    asked = [partial(each.call, node, here, each.token(here)) for each in used]
    if spoilt not in UNSEEN:
        assert [ask().code for ask in asked] == [""] * len(asked)
    spoil(here)
    for ask in asked:
        is_refused(place, here, code, ask, is_stranger=spoilt in STRANGERS)


@cells(4, *GATEWAY)
def test_a_call_is_recorded_once_and_before_it_is_sent(node: Gateway, place: Place) -> None:
    here = place.world()
    token = place.token(here)
    goes_through(lambda: place.call(node, here, token))
    waits.until(lambda: here.calls()[-1] == "call.finished")
    arrived, before = len(place.upstream.calls), len(here.events())
    with psycopg.connect(databases.addresses().owner) as holder, ThreadPoolExecutor() as pool:
        holder.execute("LOCK TABLE pending IN SHARE MODE")  # no event can be written
        waiting = pool.submit(place.call, node, here, token)
        waits.until(lambda: waits_for_the_record(holder))
        assert not waiting.done()
        assert len(place.upstream.calls) == arrived
        holder.rollback()
        assert waiting.result(waits.SECONDS).code == ""
    waits.until(lambda: len(here.events()) == before + 2)
    allowed, finished = here.events()[before:]
    assert (allowed.action, finished.action) == ("call.allowed", "call.finished")
    assert set(allowed.links) <= set(finished.links) | {
        f"grant:{here.grant.pk}",
        f"entitlement:{here.entitlement.scope}",
    }
    assert len(place.upstream.calls) == arrived + 1


def drifted(place: Place, offers: str) -> World:
    """Make a world whose server then offers something else, and have it asked."""
    system = place.another()
    if system.kind == System.Kind.HTTP:
        RestApi.objects.create(system=system, document_url=f"{place.upstream.url}/openapi")
    here = place.world(system=system)
    place.upstream.offers = offers
    ways.discover(system)
    return here


@cells((7, "rug pull"), *GATEWAY)
def test_a_changed_text_waits_for_a_person_and_a_changed_schema_stops_the_tool(node: Gateway, place: Place) -> None:
    here = drifted(place, "text")
    token = place.token(here)
    goes_through(lambda: place.call(node, here, token))
    tool = Tool.objects.get(pk=here.tool.pk)
    assert (tool.state, tool.seen_id == tool.approved_id) == ("approved", False)
    listed = node.modern(here.system.slug, "tools/list", here.token()).json()["result"]["tools"]
    assert [each["name"] for each in listed] == ["read_note"]
    assert "read all others" not in json.dumps(listed)

    for offers, code in (("schema", "tool_quarantined"), ("gone", "tool_removed")):
        here = drifted(place, offers)
        token = place.token(here)
        is_refused(place, here, code, lambda here=here, token=token: place.call(node, here, token))  # type: ignore[misc]
        place.upstream.offers = ""
        ways.discover(here.system)  # what was offered before comes back, and stays for a person
        is_refused(place, here, "tool_quarantined", lambda here=here, token=token: place.call(node, here, token))  # type: ignore[misc]


@cells(8, *GATEWAY)
def test_the_token_goes_no_further_and_the_secret_does_not_come_back(node: Gateway, place: Place) -> None:
    here = place.world()
    token = place.token(here)
    answer = place.call(node, here, token, text="x", do="repeat")
    assert answer.code == ("" if place.way == table.STDIO else "secret_in_answer")  # a pipe needs no credential
    (arrived,) = place.upstream.calls
    assert token not in arrived
    assert token.split(".")[2] not in arrived
    assert token.split(".")[2] not in answer.text
    assert SECRET not in answer.text
    assert (f"Bearer {SECRET}" in arrived) is (place.way != table.STDIO)


@cells("usage", *GATEWAY)
def test_each_call_is_counted_where_a_review_looks(node: Gateway, place: Place) -> None:
    here = place.world(limits={"text": {"one_of": ["a b"]}})
    token = place.token(here)
    asked = [place.call(node, here, token, text=text).code for text in ("a b", "a b", "x")]
    assert asked == ["", "", "argument_outside_limit"]
    use = usage.of_lines([here.grant.pk], clock.now())[here.grant.pk, here.tool.pk]
    assert (use.grade, use.calls, use.people) == ("A", 2, 1)


@cells("budgets", *GATEWAY)
def test_a_budget_bounds_calls_and_answers_and_what_it_denies_arrives_nowhere(node: Gateway, place: Place) -> None:
    here, bytes_here = place.world(), place.world()
    analyst = make.analyst()
    budgets.set_budget(What("calls", Decimal(2)), by=analyst, reason="A bound.", grant=here.grant.pk)
    budgets.set_budget(What("calls", Decimal(9)), by=analyst, reason="A bound.", system=here.system.slug)
    small = What("bytes", Decimal(10), largest_answer=Decimal(5))
    budgets.set_budget(small, by=analyst, reason="A bound.", agent=bytes_here.agent.slug)
    time.sleep(0.3)
    place.upstream.calls.clear()
    token = place.token(here)
    found = [place.call(node, here, token) for _ in range(4)]
    assert [each.code for each in found] == ["", "", "budget_exhausted", "budget_exhausted"]
    assert len(place.upstream.calls) == 2
    assert {each.status for each in found[2:]} == {429 if place.way == table.REST else 200}
    waits.until(lambda: len(here.calls()) == 6)
    assert sorted(here.calls()) == ["call.allowed"] * 2 + ["call.denied"] * 2 + ["call.finished"] * 2
    kept_back = place.call(node, bytes_here, text="kept-back")
    assert (kept_back.code, "kept-back" in kept_back.text) == ("answer_over_budget", False)
    assert len(place.upstream.calls) == 3
    waits.until(lambda: len(bytes_here.calls()) == 2)
    assert bytes_here.calls() == ["call.allowed", "call.finished"]


KEY = jwk.ECKey.generate_key("P-256", private=True)
PEM = KEY.as_pem(private=True).decode()
AWS = {"access_key_id": "AKIDEXAMPLE", "region": "eu-central-1", "service": "execute-api"}
CANARIES: dict[str, tuple[str, dict[str, str]]] = {
    "bearer": ("canary-of-a-bearer-1d2f", {}),
    "header": ("canary-of-a-header-77ac", {}),
    "basic": ("canary/of+basic:9a31", {"username": "mandate"}),
    "oauth_client": (
        "canary/of+a:client-4be0",
        {"client_id": "mandate", "client_authentication": "client_secret_basic"},
    ),
    "jwt_bearer": (PEM, {"client_id": "robot", "subject": "svc@example.org"}),
    "aws_sigv4": ("canary/of+a/signer/c0de", AWS),
}
"""A secret of each kind of credential."""


@pytest.fixture(scope="module")
def tokens(sites: Sites) -> Iterator[TokenServer]:  # noqa: ARG001 - the node asks it
    server = TokenServer({"mandate": Client("mandate", secret=CANARIES["oauth_client"][0])})
    server.clients["robot"] = Client("robot", key=KEY)
    with scripted.served(server.app()) as port:
        server.issuer = f"http://localhost:{port}/tenant"
        yield server


def forms(secret: str) -> list[str]:
    """Return a secret as it could be written anywhere; of a private key its lines."""
    parts = secret.splitlines()[1:-1] if "PRIVATE KEY" in secret else [secret]
    coded = [base64.b64encode(each.encode()).decode().rstrip("=")[:-2] for each in parts]
    return [*parts, *coded, *(each.encode().hex() for each in parts), *(quote_plus(each) for each in parts)]


def with_credential(here: World, kind: str, tokens: TokenServer) -> None:
    """Give the world's system the credential of a kind."""
    secret, settings = CANARIES[kind]
    settings = {**settings, "issuer": tokens.issuer} if "client_id" in settings else settings
    header = "X-Api-Key" if kind == "header" else "Authorization"
    with override_settings(DEMO=True):  # the issuer is on this machine
        vault.set_secret(here.system, kind=kind, value=secret, header=header, settings=settings, by=SYSTEM)


@cells((8, "canary"), *GATEWAY)
def test_no_secret_of_any_kind_is_in_any_sink(sites: Sites, node: Gateway, place: Place, tokens: TokenServer) -> None:
    webhooks.make(f"all-{uuid4().hex[:8]}", url=HOOK, form="standard", events=sorted(EVENTS), by=SYSTEM)
    sinks, here = dict[str, str](), place.world()
    inbound, reader = [], api.of(make.person(roles=["analyst", "auditor"]))
    for kind in CANARIES if place.way != table.STDIO else ("bearer", "oauth_client"):
        here = place.world()
        with_credential(here, kind, tokens)
        inbound.append(token := place.token(here))
        place.upstream.calls.clear()
        for do in ("repeat", ""):
            answer = place.call(node, here, token, text="x", do=do)
            is_refused = do and kind in ("bearer", "header", "basic") and place.way != table.STDIO
            assert answer.code == ("secret_in_answer" if is_refused else ""), (kind, answer)
            sinks[f"{kind} answer {do}"] = answer.text
        asked = place.call(node, here, token[:-4] + "AAAA", text="x")
        sinks[f"{kind} refusal"] = asked.text
        assert all(token.split(".")[2] not in arrived for arrived in place.upstream.calls)
        is_sent = [any(name in arrived for name in ("authorization", "x-api-key")) for arrived in place.upstream.calls]
        assert is_sent == [place.way != table.STDIO] * 2, kind
        sinks[f"{kind} system"] = reader.get(f"/api/v1/systems/{here.system.slug}").content.decode()
        for event in Event.objects.filter(links__contains=[f"system:{here.system.slug}"]):
            listener.notify_endpoints(event)
    receipt = revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason=REASON)
    sinks["receipt"] = receipt.receipt
    sinks["log"] = reader.get("/api/v1/audit-events").content.decode()
    sinks |= {name: "\n".join(rows(name)) for name in tables()}
    sinks["metrics"] = httpx2.get(f"{node.base}/metrics", timeout=waits.SECONDS).text
    sinks["printed"] = sites.printed.read_text()
    secrets = {kind: forms(secret) for kind, (secret, _) in CANARIES.items()}
    secrets |= {"token of the system": tokens.issued, "token of a client": [each.split(".")[2] for each in inbound]}
    found = [
        (kind, name) for kind, each in secrets.items() for name, text in sinks.items() for form in each if form in text
    ]
    assert found == []


HOOK = "https://hooks.example/mandate"
