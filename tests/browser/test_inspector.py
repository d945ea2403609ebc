"""MCP Inspector, unmodified, as a person uses it: its page in a browser, through two nodes behind a balancer.

The person signs in once. Each request goes to the next node, and what the server says beside its answers comes back.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from django.db import connections
from playwright.sync_api import BrowserContext, Locator, Page, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from scripts.devservers import free_port
from tests import envoy, waits
from tests.browser.conftest import let_in
from tests.conformance import everything, nodejs, servers

if TYPE_CHECKING:
    from tests.nodes.gateway.world import World

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("packages"),
]
packages = nodejs.packages
PROGRAM: Final = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
CLIENT: Final = "inspector-page"
SHOWN: Final = re.compile(r"http://127\.0\.0\.1:\d+\?MCP_INSPECTOR_API_TOKEN=\w+")


@pytest.fixture
def upstream() -> Iterator[str]:
    """Run the everything-server with what changes and what completes."""
    port = free_port()
    command = ["-m", "tests.conformance.watched_server", str(everything.folder()), str(port)]
    with servers.listening(command, port):
        yield f"http://localhost:{port}/mcp"


@pytest.fixture
def here(upstream: str) -> World:
    """Grant all that it offers, and register the Inspector as the page *Connect a client* says."""
    from entitlements.keys import signing  # noqa: PLC0415 - the settings are known only now
    from tests import make  # noqa: PLC0415
    from tests.nodes.gateway.primitives import desk  # noqa: PLC0415

    def discovered() -> World:
        try:
            system = desk.discovered(upstream)
            return desk.granted(system, *system.tools.values_list("name", flat=True))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as beside:  # beside the loop that the browser keeps in this thread
        made = beside.submit(discovered).result()
    client, _ = make.client(made.agent, CLIENT, auth="none")
    make.rewrite(client, redirect_uris="http://127.0.0.1/oauth/callback")
    signing.ensure(f"as/{made.system.slug}")
    return made


@pytest.fixture
def balancer(live_server: LiveServer, settings: Settings, tmp_path: Path) -> Iterator[envoy.Balancer]:
    """Run two nodes beside the console, behind a balancer that sends each request to the next."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    port = free_port()
    settings.CONSOLE_URL = settings.EDGE_URL = live_server.url.replace("127.0.0.1", "localhost")
    settings.GATEWAY_URL = settings.RELAY_URL = f"http://127.0.0.1:{port}"
    told = {"CONSOLE_URL": settings.CONSOLE_URL, "GATEWAY_URL": settings.GATEWAY_URL}
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:

        def node(name: str) -> int:
            return int(stack.enter_context(world.gateway(name, **told)).base.rpartition(":")[2])

        ports = list(pool.map(node, ("node-1", "node-2")))
        yield stack.enter_context(envoy.balancing(tmp_path, *ports, port=port))


@pytest.fixture
def inspector(here: World, balancer: envoy.Balancer, tmp_path: Path) -> Iterator[str]:
    """Run it with one server in its list, and return the address that it prints for a person to open."""
    server = {
        "type": "streamable-http",
        "url": f"{balancer.base}/gw/{here.system.slug}/mcp",
        "oauth": {"clientId": CLIENT},
    }
    config = tmp_path / "servers.json"
    config.write_text(json.dumps({"mcpServers": {"everything": server}}))
    ports = {name: str(free_port()) for name in ("CLIENT_PORT", "MCP_SANDBOX_PORT", "MCP_APP_ORIGIN_PORT")}
    environment = {
        **ports,
        "HOME": str(tmp_path),
        "PATH": str(nodejs.program().parent),
        "MCP_AUTO_OPEN_ENABLED": "false",
        "MCP_INSPECTOR_SECRET_STORE": "memory",
    }
    command = [str(nodejs.program()), str(nodejs.modules() / PROGRAM), "--web", "--config", str(config)]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield next(found[0] for line in running.stdout if (found := SHOWN.search(line)))
        finally:
            running.kill()


@pytest.fixture
def page(context: BrowserContext, here: World, live_server: LiveServer) -> Page:
    """Open the browser of a person who is signed in at the company."""
    made = context.new_page()
    made.set_default_timeout(1000 * waits.SECONDS)
    let_in(made, live_server.url.replace("127.0.0.1", "localhost"), here.person.login)
    return made


def sign_in(page: Page, inspector: str) -> None:
    """Connect, and allow what the company's page asks."""
    page.goto(inspector)
    page.get_by_role("switch", name="Connect or disconnect").click(force=True)
    page.get_by_role("button", name="Allow").click()
    tab(page, "Tools").click()
    expect(page.get_by_role("button", name="change_watched")).to_be_visible()


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("banner").get_by_text(name, exact=True)


def choose(page: Page, name: str) -> None:
    """Open what a list shows under a name."""
    page.get_by_role("button", name=name, exact=True).click()


def type_into(page: Page, field: str, text: str) -> None:
    page.get_by_role("textbox", name=field, exact=True).press_sequentially(text)


def lists_reads_and_subscribes(page: Page) -> None:
    tab(page, "Resources").click()
    for listed in ("URIs (3)", "Templates (1)"):
        expect(page.get_by_role("button", name=listed)).to_be_visible()
    choose(page, "template_resource")
    type_into(page, "id", "42")
    choose(page, "Read Resource")
    expect(page.get_by_text("Data for ID: 42")).to_be_visible()
    choose(page, "watched_resource")
    expect(page.get_by_text("Watched resource content")).to_be_visible()
    choose(page, "Subscribe")
    expect(page.get_by_role("button", name="Subscriptions (1)")).to_be_visible()


def completes_and_gets(page: Page) -> None:
    tab(page, "Prompts").click()
    page.get_by_role("button", name="test_prompt_with_arguments").click()
    type_into(page, "arg1", "r")
    expect(page.get_by_role("option")).to_have_text(["red", "rose"])
    page.get_by_role("option", name="rose").click()
    type_into(page, "arg2", "now")
    choose(page, "Get Prompt")
    expect(page.get_by_text("Prompt with arguments: arg1='rose', arg2='now'")).to_be_visible()


def hears_what_changes(page: Page) -> None:
    page.get_by_text("Protocol", exact=True).click()
    heard = page.get_by_text("notifications/resources/updated")
    expect(heard).to_have_count(0)
    tab(page, "Tools").click()
    choose(page, "change_watched")
    choose(page, "Execute Tool")
    expect(heard.first).to_be_visible()


def answers(page: Page) -> None:
    choose(page, "test_elicitation")
    type_into(page, "Message", "Who are you?")
    choose(page, "Execute Tool")
    dialog = page.get_by_role("dialog", name="Elicitation Request")
    expect(dialog.get_by_text("Who are you?")).to_be_visible()
    dialog.get_by_role("textbox", name="Response").fill("a person")
    dialog.get_by_role("button", name="Submit").click()
    expect(page.get_by_text('User response: action=accept, content={"response":"a person"')).to_be_visible()


def test_a_person_signs_in_once_and_uses_all_that_a_server_has_through_two_nodes(
    page: Page, inspector: str, here: World, balancer: envoy.Balancer
) -> None:
    sign_in(page, inspector)
    lists_reads_and_subscribes(page)
    completes_and_gets(page)
    hears_what_changes(page)
    answers(page)

    assert min(balancer.served().values()) >= 5, balancer.served()
    seen = Counter(event.action for event in here.events())
    assert (seen["sign_in.agreed"], seen["session.begun"], seen["client.asked"]) == (1, 1, 1)
    assert seen["call.finished"] == seen["call.allowed"]
