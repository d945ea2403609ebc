"""The official Python client, which sends no trace: one trace from the sign-in over the request to the upstream."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import pytest
from django.urls import reverse
from pytest_django.fixtures import Settings

from tests import waits
from tests.conformance import desk
from tests.conformance.test_request_access_client import approve, without_access
from tests.conformance.test_sign_in_client import Desk, call, here, node, session
from tests.entitlements.traces import collector

if TYPE_CHECKING:
    from tests.entitlements.traces.collector import Collector
    from tests.nodes.gateway.world import Gateway, World

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["here", "node"]
PASSWORD = "correct horse battery staple"
STORY = [
    "person.signed_in",
    "sign_in.agreed",
    "session.begun",
    "token.issued",
    "tool_list.shown",
    "request.submitted",
    "request_access.called",
    "approval.given",
    "grant.issued",
    "tool_list.shown",
    "call.allowed",
    "call.finished",
]
SPANS = {
    "person.signed_in": "mandate-web",
    "sign_in.agreed": "mandate-web",
    "POST /as/{system}/token": "mandate-edge",
    "tools/list": "mandate-edge",
    "request.submitted": "mandate-edge",
    "approval.given": "mandate-web",
    "grant.issued": "mandate-web",
    "decide": "mandate-edge",
    f"tools/call {desk.TOOL}": "mandate-edge",
}
"""The spans of the same steps, by the process that made them."""


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Collector]:
    """Let the node and this process, which is the console's, export to a collector."""
    from entitlements.traces import telemetry  # noqa: PLC0415 - the settings are known only now
    from governance import env  # noqa: PLC0415

    with collector.running() as kept:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", kept.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "500")
        settings.OTLP = (kept.url, env.Secret(dict[str, str]()))
        telemetry.start("mandate-web")
        yield kept
        telemetry.stop()


class Stranger(desk.Browser):
    """A browser in which no person is signed in until a client leads it to the page."""

    def __post_init__(self) -> None:
        """Let the person have a password, and the browser no session."""
        self.person.set_password(PASSWORD)
        self.person.save()
        self.cookies: dict[str, str] = {}

    def allow(self, address: str) -> str:
        """Sign in where the page asks for it, then answer the question."""
        with httpx2.Client(trust_env=False, timeout=waits.SECONDS, follow_redirects=True) as http:
            page = http.get(address)
            assert page.url.path == "/login/", page.url
            form = dict(re.findall(r'name="(csrfmiddlewaretoken|next)" value="([^"]*)"', page.text))
            sent = {**form, "next": unescape(form["next"]), "login": self.person.login, "password": PASSWORD}
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(str(page.url)))
            asked = http.post(page.url, data=sent, headers={"Referer": str(page.url), "Origin": origin})
            assert asked.status_code == 200, asked.text
            self.cookies = {each.name: str(each.value) for each in http.cookies.jar}
        return super().allow(address)


def play(node: Gateway, here: World) -> None:
    """Sign in without access, request it at the client, have it approved, and call."""
    without_access(here)
    server, place = f"{node.base}/gw/{here.system.slug}/mcp", Desk(Stranger(here.person))

    async def story() -> None:
        async with session(server, place.provider(server)) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["request_access"]
            picked = {"entitlement": here.entitlement.scope, "reason": "Alice plans a trip."}
            asked = await client.call_tool("request_access", picked)
            assert not asked.is_error, asked
            await asyncio.to_thread(approve, str(asked.structured_content["request"]))
            await asyncio.sleep(0.6)  # a node hears of it at once, and reads every half second in any case
            assert [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools] == [desk.TOOL]
            await call(client)

    asyncio.run(story())


def test_one_trace_holds_the_story_on_one_page_and_its_spans_reach_a_collector(
    node: Gateway, here: World, there: Collector
) -> None:
    from audit.models import Event  # noqa: PLC0415 - the settings are known only now
    from entitlements.sessions.models import Session  # noqa: PLC0415
    from tests import make  # noqa: PLC0415
    from tests.entitlements.api import client as api  # noqa: PLC0415
    from tests.governance.console import visits  # noqa: PLC0415

    play(node, here)
    waits.until(lambda: Event.objects.filter(action="call.finished").exists())
    trace = Session.objects.exclude(trace="").get().trace

    auditor = make.person("audrey", roles=["auditor"])
    told = api.of(auditor).get(f"/api/v1/audit-events?about=trace:{trace}").json()["results"]
    assert [event["action"] for event in told if event["action"] in STORY] == STORY
    assert {event["trace"] for event in told} == {trace}
    page = visits.as_(auditor).get(reverse("audit"), {"about": f"trace:{trace}"}).content.decode()
    for step in ("Sign-in", "Request", "Approval", "Token", "List", "Call", "Upstream"):
        assert f'data-label="Part">{step}<' in page, step

    waits.until(lambda: {span.name for span in there.of(trace)} >= SPANS.keys())
    waits.until(lambda: "mcp.client.operation.duration" in there.metrics)
    check_spans(there, trace)
    evaluation = next(event["uuid"] for event in told if event["action"] == "call.allowed")
    called = next(span for span in there.of(trace) if span.attributes.get("mandate.evaluation_id") == evaluation)
    assert called.attributes["gen_ai.tool.name"] == desk.TOOL
    sent = b"".join(there.bodies)
    assert not [secret for secret in (b"Europe/Paris", b"Alice plans a trip", b"eyJ") if secret in sent]


def check_spans(there: Collector, trace: str) -> None:
    """Check that the spans are one tree below the sign-in, and that the system was called below the client's call."""
    spans = there.of(trace)
    assert {name: service for name, service in SPANS.items() if (name, service) not in {
        (span.name, span.service) for span in spans
    }} == {}  # fmt: skip
    by_id = {span.id: span for span in spans}
    (root,) = [span for span in spans if not span.parent]
    assert root.name == "sign_in.agreed"
    assert {span.parent for span in spans if span.parent} <= by_id.keys()
    (upstream,) = [span for span in spans if span.kind == 3]  # OTLP's number of CLIENT
    assert by_id[upstream.parent].name == upstream.name == f"tools/call {desk.TOOL}"
    assert by_id[upstream.parent].attributes | {"jsonrpc.request.id": ""} == {
        "mcp.method.name": "tools/call",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": desk.TOOL,
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "mcp.protocol.version": "2026-07-28",
        "mandate.system": upstream.attributes["mandate.system"],
        "mandate.evaluation_id": by_id[upstream.parent].attributes["mandate.evaluation_id"],
        "jsonrpc.request.id": "",
    }
    (point,) = there.metrics["mcp.client.operation.duration"][:1]
    assert point["gen_ai.tool.name"] == desk.TOOL
