"""What a client hears beside its requests: changed lists and resources, as long as it may know of them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.definitions import offers
from entitlements.definitions.primitives import Primitive
from entitlements.gateway import answers
from entitlements.gateway.models import UpstreamSession
from entitlements.secrets import vault
from tests import make, waits
from tests.nodes.gateway.conversation import talker
from tests.nodes.gateway.conversation.desk import LegacyClient, asks, messages_of, tells, world_of
from tests.nodes.gateway.conversation.talker import Talker
from tests.nodes.gateway.world import META, MODERN, Gateway, World

READABLE, HIDDEN = "crm://notes", "crm://salaries"
UPDATED = "notifications/resources/updated"
ID = "io.modelcontextprotocol/subscriptionId"


@pytest.fixture(scope="module", params=[False, True], ids=["2025", "2026"])
def server(request: pytest.FixtureRequest) -> Iterator[Talker]:
    with talker.talking(is_modern=request.param) as running:
        yield running


@pytest.fixture
def here(node: Gateway, server: Talker) -> World:  # noqa: ARG001 - the node must run
    """Grant one of two resources."""
    server.heard.clear()
    made = world_of(server)
    resources(made)
    return made


def resources(made: World) -> None:
    """Make two resources, one of which the agent may read by a scope of its own."""
    readable, _ = (
        make.tool(
            made.system,
            f"resources/{uri}",
            definition=offers.check(offers.listed(Primitive.RESOURCE, {"uri": uri, "name": uri[6:]})),
        )
        for uri in (READABLE, HIDDEN)
    )
    make.grant(made.agent, make.entitlement(made.system, readable, scope=made.entitlement.scope + "2"),
               people=[made.person])  # fmt: skip


@contextlib.contextmanager
def subscribed(
    node: Gateway,
    here: World,
    token: str = "",
    **wanted: Any,  # noqa: ANN401 - any JSON
) -> Iterator[Iterator[dict[str, Any]]]:
    """Listen as a modern client."""
    body = {"jsonrpc": "2.0", "id": "sub", "method": "subscriptions/listen"}
    headers = {
        "Authorization": f"Bearer {token or here.token(scope=scopes(here))}", "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "subscriptions/listen", "Accept": "application/json, text/event-stream",
    }  # fmt: skip
    sent = {**body, "params": {"_meta": META, "notifications": wanted}}
    address = f"{node.base}{answers.path(here.system.slug)}"
    with httpx2.stream("POST", address, json=sent, headers=headers, timeout=waits.SECONDS) as answer:
        assert answer.status_code == 200, answer.read()
        yield messages_of(answer)


def widen(here: World) -> None:
    """Give the agent one more tool, under a scope that its tokens have."""
    scope = here.entitlement.scope
    more = make.entitlement(here.system, make.tool(here.system, "more"), scope=f"{scope}3")
    make.grant(here.agent, more, people=[here.person])


def scopes(here: World) -> str:
    scope = here.entitlement.scope
    return f"{scope} {scope}2 {scope}3"


def test_a_modern_client_hears_first_what_is_listened_to_and_then_that_alone(
    node: Gateway, server: Talker, here: World
) -> None:
    wanted: dict[str, Any] = {"toolsListChanged": True, "resourceSubscriptions": [READABLE, HIDDEN], "unknown": True}
    with subscribed(node, here, **wanted) as messages:
        acknowledged = next(messages)
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        assert acknowledged["params"]["notifications"] == {
            "toolsListChanged": True, "resourceSubscriptions": [READABLE]
        }  # fmt: skip
        heard = [acknowledged]
        if server.is_modern:
            waits.until(lambda: server.is_listened_to)
            assert server.asked("subscriptions/listen")[-1]["notifications"]["resourceSubscriptions"] == [READABLE]
        else:
            waits.until(lambda: server.asked("resources/subscribe") == [{"uri": READABLE}])
        server.say(
            tells("notifications/prompts/list_changed"),
            tells(UPDATED, uri=HIDDEN),
            tells(UPDATED, uri=READABLE, _meta={ID: 1}),
            asks("roots/list", 7),
            tells("notifications/message", level="error", data="x"),
            tells("notifications/tools/list_changed"),
        )
        heard += [next(messages), next(messages)]
        assert [each["method"] for each in heard[1:]] == [UPDATED, "notifications/tools/list_changed"]
        assert heard[1]["params"]["uri"] == READABLE
        widen(here)
        heard.append(next(messages))
        assert heard[-1]["method"] == "notifications/tools/list_changed"
        assert {each["params"]["_meta"][ID] for each in heard} == {"sub"}
    own = UpstreamSession.objects.filter(system=here.system, agent=here.agent, ended_at=None)
    waits.until(lambda: not own.exclude(client_session=None).exists())


def test_a_stream_of_a_modern_client_ends_with_its_rights(node: Gateway, here: World) -> None:
    with subscribed(node, here, toolsListChanged=True) as messages:
        next(messages)
        agents.suspend(here.agent, by=SYSTEM, reason="Stopped.")
        last = list(messages)[-1]
    assert (last["id"], last["result"]["_meta"][ID]) == ("sub", "sub")


@pytest.mark.parametrize("wanted", [{"resourceSubscriptions": "x"}, {"resourceSubscriptions": [1]}])
def test_a_malformed_subscription_is_refused(node: Gateway, here: World, wanted: dict[str, object]) -> None:
    answer = node.modern(here.system.slug, "subscriptions/listen", here.token(), notifications=wanted)
    assert answer.status_code == 400
    assert node.modern(here.system.slug, "subscriptions/listen", here.token()).status_code == 400


def test_a_legacy_client_subscribes_to_what_it_may_read_and_hears_of_that_alone(
    node: Gateway, server: Talker, here: World
) -> None:
    if server.is_modern:
        pytest.skip("an upstream of 2026 alone has no such subscriptions")
    client = LegacyClient(node, here)
    client.token = here.token(scope=scopes(here))
    assert client.post(asks("resources/subscribe", 3, uri=READABLE)).json()["result"] == {}
    assert "error" in client.post(asks("resources/subscribe", 4, uri=HIDDEN)).json()
    assert [params["uri"] for params in server.asked("resources/subscribe")] == [READABLE]
    with client.listening() as messages:
        waits.until(lambda: server.is_listened_to)
        server.say(
            tells(UPDATED, uri=HIDDEN),
            tells(UPDATED, uri=READABLE),
            tells("notifications/unheard_of"),
            tells("notifications/message", level="info", data="x"),
            asks("roots/list", 77),
        )
        heard = [next(messages) for _ in range(3)]
        assert [each["method"] for each in heard] == [UPDATED, "notifications/message", "roots/list"]
        assert heard[0]["params"]["uri"] == READABLE
        assert client.answer(heard[2], result={"roots": []}).status_code == 202
        waits.until(lambda: {"jsonrpc": "2.0", "id": 77, "result": {"roots": []}} in server.answers())
    client.post({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})
    assert "notifications/roots/list_changed" in [message.get("method") for message in server.heard]


def test_a_stream_ends_where_a_system_says_a_secret_and_that_is_recorded_once(
    node: Gateway, server: Talker, here: World
) -> None:
    other = make.system()
    canary = f"a-secret-of-the-vault-{secrets.token_hex(4)}"
    vault.set_secret(other, kind="bearer", value=canary, by=SYSTEM)
    name, said = "notifications/tools/list_changed", {"data": f"It is {canary}."}
    note = tells(name, **said)
    with contextlib.ExitStack() as stack:
        if server.is_modern:
            messages = stack.enter_context(subscribed(node, here, toolsListChanged=True))
            next(messages)
        else:
            messages = stack.enter_context(LegacyClient(node, here).listening())
        waits.until(lambda: server.is_listened_to)
        server.say(tells(name), note)
        with contextlib.suppress(ConnectionError):  # the stream may have ended by now
            server.say(tells(name))
        heard = list(messages)
    assert [each["method"] for each in heard[:1]] == [name]
    assert canary not in str(heard)
    if server.is_modern:
        assert (heard[-1]["id"], heard[-1]["error"]["data"]["code"]) == ("sub", "secret_in_answer")
    assert len(heard) == 1 + server.is_modern
    waits.until(lambda: any(event.action == "secret.leaked" for event in here.events()))
    leaked = [event for event in here.events() if event.action == "secret.leaked"]
    assert [event.detail["opens"] for event in leaked] == [[other.slug]]
