"""What an attacker tries at the address of a REST API: two requests in one, another operation, another's proof."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from django.conf import settings

from tests import waits
from tests.nodes.gateway import rest_world
from tests.nodes.gateway.rest_world import Service
from tests.nodes.gateway.world import Gateway, World
from tests.proofs import Holder

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
        return httpx2.post(f"{node.base}{where}{target}", content=BODY, headers=headers, timeout=waits.SECONDS)

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
