"""A person answers the one question of a sign-in: the page is accessible, and leads to the client that listens."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from audit.context import SYSTEM
from entitlements import addresses
from entitlements.authentication import MULTI_FACTOR
from entitlements.clients.models import Client
from entitlements.connections.models import Connection
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from tests import make, second_factor
from tests.browser.conftest import PASSWORD, Visitor
from tests.browser.test_gallery import look_at
from tests.entitlements.edge.sign_ins import CHALLENGE


class _Listener(HTTPServer):
    """A native client: it waits on whatever port it is given for what the browser brings."""

    def __init__(self, host: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.brought: list[dict[str, list[str]]] = []
        super().__init__((host, 0), _Callback)

    def server_bind(self) -> None:
        """Take the address without asking for its name."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class _Callback(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Note what is brought."""
        server: Any = self.server
        if self.path.startswith("/callback"):
            server.brought.append(parse_qs(urlsplit(self.path).query))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Done</title><p>You can close this window.")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def listeners() -> Iterator[dict[str, _Listener]]:
    running = {"127.0.0.1": _Listener("127.0.0.1"), "[::1]": _Listener("::1")}
    for each in running.values():
        threading.Thread(target=each.serve_forever, daemon=True).start()
    yield running
    for each in running.values():
        each.shutdown()
        each.server_close()


@pytest.fixture
def grant(transactional_db: None) -> Grant:  # noqa: ARG001 - the server reads what is committed
    alice = make.person("alice", password=PASSWORD)
    alice.name = "Alice Adams"
    alice.save()
    system = make.system("crm")
    system.name = "Customers"
    system.save()
    sentences = {"find_customer": "Finds a customer by name or number.", "send_letter": "Sends a letter to a customer."}
    tools = [make.tool(system, name, sentence=sentence) for name, sentence in sentences.items()]
    agent = make.agent("desk-bot")
    agent.name = "Desk assistant"
    agent.save()
    client, _ = make.client(agent, "desk-client", auth=Client.Auth.NONE)
    make.rewrite(client, name="Desk client", redirect_uris="http://127.0.0.1/callback http://[::1]/callback")
    return make.grant(agent, make.entitlement(system, *tools, scope="crm:use"), people=[alice])


def address(back: str, client_id: str = "desk-client") -> str:
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": back,
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"/as/crm/authorize?{urlencode(asked)}"


def test_a_person_reads_the_question_and_the_client_gets_the_answer(
    visitor: Visitor, grant: Grant, listeners: dict[str, _Listener]
) -> None:
    assert grant.agent.slug == "desk-bot"
    visitor.sign_in("alice")
    for host, listener in listeners.items():
        back = f"http://{host}:{listener.server_port}/callback"
        wrong = look_at(visitor, "consent", address(back)) if host != "[::1]" else []
        assert not wrong, "\n".join(wrong)
        assert not visitor.wrong

        visitor.go(address(back))
        visitor.page.get_by_role("button", name="Allow").click()
        visitor.page.wait_for_url(f"{back}?**")

        (brought,) = listener.brought
        assert (brought["state"], brought["iss"]) == (["s1"], [addresses.issuer("as/crm")])
        assert brought["code"]


def test_a_person_without_access_lets_the_client_request_it(
    visitor: Visitor, grant: Grant, listeners: dict[str, _Listener]
) -> None:
    grants.revoke(grant.pk, by=SYSTEM, reason="over")
    visitor.sign_in("alice")
    listener = listeners["127.0.0.1"]
    back = f"http://127.0.0.1:{listener.server_port}/callback"
    wrong = look_at(visitor, "consent-empty", address(back))
    assert not wrong, "\n".join(wrong)
    assert visitor.page.get_by_text("has no access to Customers for you yet").count() == 1
    assert visitor.page.get_by_role("table").count() == 0
    visitor.page.get_by_role("button", name="Allow").click()
    visitor.page.wait_for_url(f"{back}?**")
    assert listener.brought[0]["code"]


def test_where_no_request_would_help_a_person_can_only_go_back(
    visitor: Visitor, grant: Grant, listeners: dict[str, _Listener]
) -> None:
    grants.suspend(grant.pk, by=SYSTEM, reason="odd")
    visitor.sign_in("alice")
    listener = listeners["127.0.0.1"]
    back = f"http://127.0.0.1:{listener.server_port}/callback"
    wrong = look_at(visitor, "consent-refused", address(back))
    assert not wrong, "\n".join(wrong)
    assert visitor.page.get_by_role("button", name="Allow").count() == 0
    visitor.page.get_by_role("button", name="Back to the client").click()
    visitor.page.wait_for_url(f"{back}?**")
    assert listener.brought[0]["error"] == ["access_denied"]


def test_a_client_that_asks_for_several_factors_gets_them_and_stays_signed_in(
    visitor: Visitor, grant: Grant, listeners: dict[str, _Listener]
) -> None:
    visitor.sign_in("alice")
    secret = second_factor.given_to(Person.objects.get(login="alice"))
    back = f"http://127.0.0.1:{listeners['127.0.0.1'].server_port}/callback"
    asked = {"scope": "openid offline_access", "acr_values": MULTI_FACTOR}
    path = address(back).replace("/as/crm/", "/idp/") + f"&{urlencode(asked)}"
    assert grant.agent.slug == "desk-bot"

    wrong = look_at(visitor, "step-up", path)
    assert not wrong, "\n".join(wrong)
    assert visitor.page.get_by_role("heading", level=1).inner_text() == "Confirm it's you"
    visitor.page.locator("input[name=code]").fill(second_factor.code(secret))
    visitor.page.get_by_role("button", name="Confirm").click()
    visitor.page.wait_for_url("**/idp/authorize?**")
    wrong = look_at(visitor, "identity-consent", path)
    assert not wrong, "\n".join(wrong)
    assert visitor.page.get_by_text("stays signed in for 12 hours at most").count() == 1
    assert not visitor.wrong

    visitor.page.get_by_role("button", name="Sign in").click()
    visitor.page.wait_for_url(f"{back}?**")
    (brought,) = listeners["127.0.0.1"].brought
    assert (brought["iss"], bool(brought["code"])) == ([addresses.issuer("idp")], True)


def test_a_person_connects_first_where_the_agent_is_to_be_their_own(
    visitor: Visitor, grant: Grant, listeners: dict[str, _Listener]
) -> None:
    listener = listeners["127.0.0.1"]
    make.personal_client("laptop-client", name="Laptop client", redirect_uris=["http://127.0.0.1/callback"])
    back = f"http://127.0.0.1:{listener.server_port}/callback"
    visitor.sign_in("alice")
    wrong = look_at(visitor, "consent-connect", address(back, "laptop-client"))
    assert not wrong, "\n".join(wrong)

    visitor.go(address(back, "laptop-client"))
    visitor.page.get_by_role("button", name="Connect").click()
    visitor.page.get_by_role("button", name="Allow").wait_for()

    connection = Connection.objects.get()
    assert (connection.person.login, connection.agent.kind) == ("alice", "personal")
    make.grant(connection.agent, grant.entitlement, people=[connection.person])
    visitor.go(address(back, "laptop-client"))
    visitor.page.get_by_role("button", name="Allow").click()
    visitor.page.wait_for_url(f"{back}?**")
    assert listener.brought[0]["code"]
    assert not visitor.wrong
