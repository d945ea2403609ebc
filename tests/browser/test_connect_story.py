"""A client that was never seen before: it signs in without access, requests it, works for a day, and is stopped."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

import httpx2
import pytest
from django.db import connections, transaction
from django.db.models import F
from mcp import Client as McpClient
from mcp.client.streamable_http import streamable_http_client
from playwright.sync_api import Browser, ViewportSize, expect
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from tests.browser.conftest import Visitor, let_in
from tests.browser.test_consent import _Listener
from tests.conformance import desk

if TYPE_CHECKING:
    from entitlements.client_documents.models import ClientDocument
    from tests.entitlements.client_documents.site import Site
    from tests.nodes.gateway.world import Gateway, World

pytestmark = pytest.mark.django_db(transaction=True)
node, here = desk.node, desk.here
VERIFIER = "v" * 64
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
def listener() -> Iterator[_Listener]:
    running = _Listener("127.0.0.1")
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def sites(settings: Settings) -> Iterator[tuple[Site, Site]]:
    from tests.entitlements.client_documents import site as served  # noqa: PLC0415 - the settings are known only now

    settings.DEMO = True  # the makers of clients are on this machine
    with served.served() as allowed, served.served() as other:
        yield allowed, other


@dataclass
class Program:
    """A client with a key, which describes itself at its own address; what it was given last."""

    client_id: str
    key: Any
    server: str
    back: str
    tokens: dict[str, Any]
    metadata: dict[str, Any]
    resource: str

    @classmethod
    def published(cls, site: Site, server: str, back: str, name: str) -> Program:
        """Publish a document with a new key, and follow the address of a server to its metadata."""
        from tests.entitlements.edge import worlds  # noqa: PLC0415 - the settings are known only now

        key = worlds.new_key("k1")
        keys = worlds.key_set(key)
        client_id = site.document(client_name=name, token_endpoint_auth_method="private_key_jwt", jwks=keys)
        challenge = httpx2.post(server, json={}, trust_env=False).headers["www-authenticate"]
        found = re.search(r'resource_metadata="([^"]+)"', challenge)
        assert found is not None, challenge
        described = httpx2.get(found[1], trust_env=False).json()
        issuer = urlsplit(described["authorization_servers"][0])
        well_known = issuer._replace(path=f"/.well-known/oauth-authorization-server{issuer.path}").geturl()
        metadata = httpx2.get(well_known, trust_env=False).json()
        assert metadata["client_id_metadata_document_supported"] is True
        return cls(client_id, key, server, back, {}, metadata, described["resource"])

    @property
    def question(self) -> str:
        """Where a person is asked."""
        from tests.entitlements.edge.sign_ins import CHALLENGE  # noqa: PLC0415 - the settings are known only now

        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.back,
            "state": "s1",
            "resource": self.resource,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return f"{self.metadata['authorization_endpoint']}?{urlencode(asked)}"

    def ask(self, **form: str) -> httpx2.Response:
        """Ask the token endpoint, with a signed assertion of the client."""
        from entitlements.keys import jws  # noqa: PLC0415 - the settings are known only now

        now = int(time.time())
        said = {"iss": self.client_id, "sub": self.client_id, "aud": self.metadata["issuer"], "jti": uuid4().hex}
        assertion = jws.sign({**said, "iat": now, "exp": now + 60}, self.key, "client-authentication+jwt")
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        sent = {"client_id": self.client_id, "client_assertion": assertion, "client_assertion_type": kind, **form}
        return httpx2.post(self.metadata["token_endpoint"], data=sent, trust_env=False)

    def redeem(self, code: str) -> None:
        """Take tokens for a code."""
        answer = self.ask(grant_type="authorization_code", code=code, code_verifier=VERIFIER, redirect_uri=self.back)
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()

    def refresh(self) -> httpx2.Response:
        """Take the next tokens, if there are any."""
        answer = self.ask(grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])
        if answer.status_code == 200:
            self.tokens = answer.json()
        return answer

    def tools(self) -> list[str]:
        """List the tools with the official client."""
        return desk.run(self._session("list_tools"))

    def call(self, name: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401 - a result of the SDK
        """Call a tool with the official client."""
        return desk.run(self._session(name, arguments))

    async def _session(self, what: str, arguments: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False) as http,
            McpClient(streamable_http_client(self.server, http_client=http), mode="auto") as client,
        ):
            if arguments is None:
                return [tool.name for tool in (await client.list_tools()).tools]
            result = await client.call_tool(what, arguments)
            assert not result.is_error, result
            return result.structured_content


def later(**length: float) -> None:
    """Let time pass: everything that ends by itself was begun so much earlier."""
    from entitlements.agents.models import Agent  # noqa: PLC0415 - the settings are known only now
    from entitlements.feed import changes, locks, subjects  # noqa: PLC0415
    from entitlements.feed.locks import Lock  # noqa: PLC0415
    from entitlements.sessions.models import Session  # noqa: PLC0415
    from entitlements.token_families.models import TokenFamily  # noqa: PLC0415
    from entitlements.tokens.models import IssuedToken  # noqa: PLC0415
    from governance.requests.models import AccessRequest  # noqa: PLC0415

    times = {
        TokenFamily: ("auth_time", "started_at", "last_used_at", "expires_at"),
        Session: ("auth_time", "started_at", "last_used_at", "expires_at"),
        IssuedToken: ("issued_at", "expires_at"),
        AccessRequest: ("asked_at", "answer_by"),
    }
    for model, names in times.items():
        model._default_manager.update(**{name: F(name) - timedelta(**length) for name in names})
    with transaction.atomic():
        agents = list(Agent.objects.order_by("pk").values_list("pk", flat=True))
        locks.exclusive(*((Lock.AGENT, pk) for pk in agents))
        for pk in agents:
            changes.note(subjects.agent(pk))


def _company(here: World, allowed: Site) -> None:
    """Take the access away, make the agent one that many share, and allow the host of one maker of clients."""
    from entitlements.agents.models import Agent  # noqa: PLC0415 - the settings are known only now
    from entitlements.catalog.models import System  # noqa: PLC0415
    from entitlements.grants import grants  # noqa: PLC0415
    from entitlements.grants.models import Grant  # noqa: PLC0415
    from tests import make  # noqa: PLC0415
    from tests.entitlements.client_documents import company  # noqa: PLC0415

    for grant in Grant.objects.filter(agent=here.agent):
        grants.revoke(grant.pk, by=SYSTEM, reason="over")
    Agent.objects.filter(pk=here.agent.pk).update(kind=Agent.Kind.SHARED, name="Desk assistant")
    System.objects.filter(pk=here.system.pk).update(owner=make.person(), name="Time")
    company.allow(allowed.url("/"), here.agent, make.analyst())


def _allow(visitor: Visitor, program: Program, listener: _Listener) -> None:
    """Answer the one question, and let the client take what comes of it."""
    visitor.page.goto(program.question)
    visitor.page.get_by_role("button", name="Allow").click()
    visitor.page.wait_for_url(f"{program.back}?**")
    program.redeem(listener.brought[-1]["code"][0])


def _waits_once(visitor: Visitor, other: Program, here: World) -> ClientDocument:
    """Two people try a client of another host; it waits for one decision."""
    from entitlements.client_documents.models import ClientDocument  # noqa: PLC0415 - the settings are known only now
    from tests import make  # noqa: PLC0415

    for person in (make.person(), here.person):
        let_in(visitor.page, visitor.address, person.login)
        visitor.page.goto(other.question)
        expect(visitor.page.get_by_role("heading", name="This client waits for a decision")).to_be_visible()
    waiting = ClientDocument.objects.get(client_id=other.client_id)
    assert (waiting.state, len(waiting.tried_by)) == ("waiting", 2)
    return waiting


def _approve_on_a_phone(browser: Browser, visitor: Visitor, request: str) -> None:
    """Each approver opens the request on a phone and approves it."""
    from governance.approvals.models import Approval  # noqa: PLC0415 - the settings are known only now
    from governance.requests.models import AccessRequest  # noqa: PLC0415

    for stage in Approval.objects.filter(request=UUID(request)).order_by("position"):
        phone = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
        page = phone.new_page()
        let_in(page, visitor.address, stage.waiting_for.all()[0].login)
        page.goto(f"{visitor.address}/requests/{request}/")
        page.locator("#approve").tap()
        expect(page.locator("#approve")).to_have_count(0)
        phone.close()
    assert AccessRequest.objects.get(pk=request).state == AccessRequest.State.APPROVED


def _request(planner: Program, here: World) -> str:
    """Have the client find what can be requested, and request it; return the request."""
    assert planner.tools() == ["request_access"]
    options = [each["entitlement"] for each in planner.call("request_access", {})["requestable"]]
    picked = {"entitlement": here.entitlement.scope, "reason": "Alice plans a trip.", "lasts": "P7D"}
    asked = planner.call("request_access", picked)
    assert (here.entitlement.scope in options, asked["state"]) == (True, "in_approval")
    return str(asked["request"])


def _refused_everywhere(visitor: Visitor, planner: Program, node: Gateway, here: World) -> None:
    """Present all that the client has, once: it opens nothing any more."""
    from tests.nodes.gateway.test_revocation import denial  # noqa: PLC0415 - the settings are known only now

    arguments = {"timezone": "Europe/Paris"}
    call = node.modern(
        here.system.slug, "tools/call", planner.tokens["access_token"], name=desk.TOOL, arguments=arguments
    )
    refresh = planner.refresh()
    visitor.page.goto(planner.question)
    assert denial(call) in {"client_disabled", "client_unknown", "token_revoked"}
    assert (refresh.status_code, refresh.json()["code"]) == (401, "client_disabled")
    expect(visitor.page.get_by_role("button", name="Allow")).to_have_count(0)


def test_a_client_never_seen_before_is_connected_works_for_a_day_and_is_stopped(
    visitor: Visitor, browser: Browser, node: Gateway, here: World, listener: _Listener, sites: tuple[Site, Site]
) -> None:
    from entitlements.client_documents import documents  # noqa: PLC0415 - the settings are known only now
    from entitlements.clients.models import Client  # noqa: PLC0415
    from entitlements.revocation import revocation  # noqa: PLC0415
    from entitlements.revocation.revocation import Target  # noqa: PLC0415

    _company(here, sites[0])
    server, back = f"{node.base}/gw/{here.system.slug}/mcp", f"http://127.0.0.1:{listener.server_port}/callback"
    planner = Program.published(sites[0], server, back, "Travel planner")
    other = Program.published(sites[1], server, back, "Other planner")
    visitor.sign_in(here.person.login)
    visitor.page.goto(planner.question)
    expect(visitor.page.get_by_role("main")).to_contain_text("has no access to Time for you yet")
    assert not Client.objects.filter(client_id=planner.client_id).exists()  # until the person agrees
    _allow(visitor, planner, listener)
    request = _request(planner, here)

    documents.approve(_waits_once(visitor, other, here).pk, agent=here.agent, by=here.agent.sponsor)
    visitor.page.goto(other.question)
    expect(visitor.page.get_by_role("button", name="Allow")).to_be_visible()

    later(hours=1)
    _approve_on_a_phone(browser, visitor, request)
    assert planner.refresh().status_code == 200
    assert planner.tools() == [desk.TOOL]
    assert planner.call(desk.TOOL, {"timezone": "Europe/Paris"})["timezone"] == "Europe/Paris"

    for _ in range(12):
        later(hours=2)  # no session lasts that long without use
        answer = planner.refresh()
        assert answer.status_code == 200, answer.text
    assert planner.tools() == [desk.TOOL]

    receipt = revocation.revoke(Target("client", planner.client_id), by=SYSTEM, reason="lost", wait=True)
    _refused_everywhere(visitor, planner, node, here)
    assert receipt.receipt
    connections.close_all()
