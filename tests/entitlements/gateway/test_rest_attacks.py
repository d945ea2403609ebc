"""What an attacker tries at the address of a REST API: two requests in one, another operation, another's proof."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest
from django.conf import settings

from entitlements.catalog.models import System
from tests.entitlements.gateway import rest_world
from tests.entitlements.gateway.rest_world import SECRET, Service
from tests.entitlements.gateway.world import Gateway, World, wait_until
from tests.proofs import Holder

pytestmark = pytest.mark.loopback

HOLDER = Holder()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with rest_world.service() as found:
        yield found


@pytest.fixture(scope="module")
def shared(node: Gateway, service: Service) -> World:  # noqa: ARG001 - the node must run
    return rest_world.build(service.url)


@pytest.fixture
def here(shared: World, service: Service) -> World:
    service.seen.clear()
    return shared


BODY = b'{"item":"x"}'
FRAMED: dict[str, tuple[bytes, bytes]] = {
    "two lengths that differ": (b"Content-Length: 12\r\nContent-Length: 3", BODY),
    "a length twice": (b"Content-Length: 12\r\nContent-Length: 12", BODY),
    "a length and chunks": (b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunks in another word": (b"Transfer-Encoding: xchunked", b"c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a negative length": (b"Content-Length: -1", BODY),
    "a length that is none": (b"Content-Length: 0x0c", BODY),
    "a folded header": (b"Content-Length: 12\r\nX-Trace: a\r\n Content-Type: text/plain", BODY),
    "a header with a bare line end": (b"Content-Length: 12\r\nX-Trace: a\rHost: b", BODY),
    "a space before the colon": (b"Content-Length : 12", BODY),
}


@pytest.mark.parametrize("case", FRAMED)
def test_a_request_whose_end_can_be_seen_twice_is_refused(
    node: Gateway, here: World, service: Service, case: str
) -> None:
    framing, body = FRAMED[case]
    head = (
        f"POST /gw/{here.system.slug}/http/orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {rest_world.token(here)}\r\nContent-Type: application/json\r\n"
    )
    where = urlsplit(node.base)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as wire:
        wire.sendall(head.encode() + framing + b"\r\n\r\n" + body)
        answered = b""
        while piece := wire.recv(65536):
            answered += piece
    assert answered.split(b"\r\n")[0].split(b" ")[1:2] in ([b"400"], [b"413"]), answered
    assert service.seen == []


def test_an_argument_does_not_lead_to_an_operation_that_waits_for_its_review(
    node: Gateway, here: World, service: Service
) -> None:
    """`/orders/{id}` with `mine` is `/orders/mine`, which is not approved; the service would carry it out."""
    answer = node.modern(here.system.slug, "tools/call", here.token(), name="read_order", arguments={"id": "mine"})
    assert answer.json()["result"]["_meta"]["mandate/denial"]["code"] == "argument_not_valid"
    by_rest = rest_world.ask(node, here, "GET", "/orders/mine")
    assert (by_rest.status_code, by_rest.json()["code"]) == (403, "tool_not_approved")
    assert service.seen == []


def test_an_argument_does_not_break_out_of_its_place(node: Gateway, here: World, service: Service) -> None:
    """What would be another path, query or header line to the service arrives as the text that it is, or not at all."""
    arrives = ("x?admin=1", "x#a", "x&y=z", "%", "x y", "a:b@c")
    for text in arrives:
        answer = node.modern(here.system.slug, "tools/call", here.token(), name="read_order", arguments={"id": text})
        assert answer.json()["result"]["structuredContent"] == {"id": text}
    assert len(service.seen) == len(arrives)
    for text in ("7/secrets", "7%2Fsecrets", "..", "a\r\nHost: b", "\x00"):
        node.modern(here.system.slug, "tools/call", here.token(), name="read_order", arguments={"id": text})
    assert len(service.seen) == len(arrives)


def test_a_bound_token_needs_a_proof_for_this_very_request(node: Gateway, here: World, service: Service) -> None:
    token = rest_world.token(here, cnf={"jkt": HOLDER.thumbprint})
    where = f"/gw/{here.system.slug}/http/orders"

    def send(proof: str, *, target: str = "?limit=1") -> httpx2.Response:
        headers = {"authorization": f"DPoP {token}", "dpop": proof, "content-type": "application/json"}
        return httpx2.post(f"{node.base}{where}{target}", content=BODY, headers=headers, timeout=10)

    address = settings.GATEWAY_URL + where
    for spoiled in (
        HOLDER.prove("POST", address.removesuffix("/orders"), token=token, body=BODY),
        HOLDER.prove("GET", address, token=token, body=BODY),
        HOLDER.prove("POST", address, token=token, body=b"{}"),
        HOLDER.prove("POST", address, token="another", body=BODY),
    ):
        answer = send(spoiled, target="")
        assert (answer.status_code, answer.json()["code"]) == (401, "proof_invalid")
        assert answer.headers["www-authenticate"].startswith("DPoP ")
    assert service.seen == []
    proof = HOLDER.prove("POST", address, token=token, body=BODY)
    assert send(proof, target="").status_code == 201
    assert send(proof, target="").json()["code"] == "proof_invalid"
    assert len(service.seen) == 1
    assert "dpop" not in service.seen[0][2]


def test_the_credential_is_in_no_sink(node: Gateway, here: World, service: Service) -> None:
    for do in ("repeat", "text", "401", "bomb"):
        answer = rest_world.ask(node, here, "GET", f"/orders?do={do}")
        assert SECRET.encode() not in answer.content
        assert SECRET not in str(answer.headers)
    assert all(SECRET in seen[2]["authorization"] for seen in service.seen)
    wait_until(lambda: here.calls().count("call.finished") >= 2, 5)
    for event in here.events():
        assert SECRET not in json.dumps([event.detail, event.links, event.code])
    assert SECRET.encode() not in httpx2.get(f"{node.base}/metrics", timeout=10).content


@pytest.mark.parametrize("address", ["http://10.1.2.3/", "http://169.254.169.254/latest", "http://[::ffff:10.0.0.1]/"])
def test_a_system_that_leads_inside_is_never_reached(node: Gateway, service: Service, address: str) -> None:
    inside = rest_world.build(service.url)
    System.objects.filter(pk=inside.system.pk).update(upstream_url=address)
    service.seen.clear()
    answer = rest_world.ask(node, inside, "GET", "/orders")
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream_unavailable")
    assert service.seen == []
