"""An analyst sets everything up at the screen, by keys alone and by touch: system, tools, agent, client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.clients import acceptance
from entitlements.clients.models import Client, ClientCredential
from entitlements.people.models import Person
from tests import waits
from tests.browser.conftest import Visitor, let_in
from tests.browser.hands import Finger, Keys, Mouse
from tests.browser.told import Record
from tests.conformance import servers

pytestmark = [pytest.mark.usefixtures("company"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Upstream]:
    """Run the sample server that tells the time."""
    command = [servers.program("mcp-server-time"), "--local-timezone", "UTC"]
    with servers.upstream(tmp_path_factory.mktemp("clock"), "clock", *command) as found:
        yield found


@pytest.fixture
def here(settings: Settings) -> None:
    settings.DEMO = True  # a server on loopback, over http


def _go(hands: Mouse, address: str, path: str, link: str) -> None:
    """Open a list and follow its link; the way through the menu is the story's."""
    hands.page.goto(f"{address}{path}")
    hands.press(hands.page.locator("main").get_by_role("link", name=link, exact=True))


def _choose(hands: Mouse, name: str, value: str) -> None:
    """Choose one of a few: keys come to the one that is chosen, and go on from it by arrows."""
    wanted = hands.page.locator(f"input[name={name}][value={value}]")
    if isinstance(hands, Keys):
        hands._reach(hands.page.locator(f"input[name={name}]:checked"))
        hands.page.keyboard.press("ArrowDown")
    else:
        hands.tick(wanted)
    expect(wanted).to_be_checked()


def _register(hands: Mouse, address: str, clock: servers.Upstream) -> None:
    page = hands.page
    field = page.locator("main").get_by_label
    _go(hands, address, "/systems/", "Add system")
    hands.write(field("Address", exact=True), "http://localhost:9/mcp")
    hands.write(field("Name", exact=True), "Clock")
    _choose(hands, "sign_in", "bearer")
    hands.write(page.locator("#id_secret"), clock.secret)
    hands.press(page.get_by_role("button", name="Add system"))
    expect(page.get_by_text("Registered. Next, list its tools.")).to_be_visible()

    hands.press(page.get_by_role("button", name="Test and list tools"))
    expect(page.get_by_role("alert")).to_contain_text("No server answers at the address.")
    hands.press(page.get_by_role("link", name="Change address or secret"))
    hands.write(field("Address", exact=True), clock.url)
    hands.write(field("Reason"), "A typing error.")
    hands.press(page.get_by_role("button", name="Save"))
    expect(page.get_by_role("button", name="Test and list tools")).to_be_visible()


def _secret_anew(hands: Mouse, clock: servers.Upstream) -> None:
    """Another place has to be given its secret again: without it, it does not let us in."""
    page = hands.page
    hands.press(page.get_by_role("button", name="Test and list tools"))
    expect(page.get_by_role("alert")).to_contain_text("The server refused the sign-in (401 or 403).")
    hands.press(page.get_by_role("link", name="Change address or secret"))
    hands.press(page.get_by_role("link", name="Change credential"))
    hands.write(page.locator("main").get_by_label("Token", exact=True), clock.secret)
    hands.press(page.get_by_role("button", name="Store credential"))
    hands.press(page.get_by_role("button", name="Test and list tools"))
    expect(page.get_by_text("2 new, 0 changed, 0 no longer offered.")).to_be_visible()


def _approve_and_bundle(hands: Mouse, address: str) -> None:
    page = hands.page
    hands.press(page.get_by_role("button", name="Approve 2 reading tools"))
    expect(page.get_by_text("2 tools approved.")).to_be_visible()
    hands.press(page.get_by_role("link", name="Add entitlement"))
    hands.write(page.locator("main").get_by_label("Name", exact=True), "Tell the time")
    hands.tick(page.locator("input[value=get_current_time]"))
    hands.press(page.get_by_role("button", name="Save with 1 of 2 tools"))
    expect(page.get_by_text("Created. People can request it now.")).to_be_visible()
    page.goto(f"{address}/systems/clock/")
    expect(page.get_by_role("heading", name="Set-up")).to_have_count(0)


def _agent_and_client(hands: Mouse, address: str) -> str:
    page = hands.page
    field = page.locator("main").get_by_label
    _go(hands, address, "/agents/", "Add agent")
    hands.write(field("Name", exact=True), "Time teller")
    hands.write(field("Purpose", exact=True), "Tells Alice the time.")
    hands.write(page.locator("#id_sponsor"), "sofia")
    hands.write(page.locator("#id_owner"), "otto")
    hands.press(page.get_by_role("button", name="Add agent"))
    expect(page.get_by_text("Registered. Next, register the client with which it signs in.")).to_be_visible()
    hands.press(page.get_by_role("link", name="Sessions and tokens"))
    hands.press(page.get_by_role("link", name="Add client"))
    _choose(hands, "auth", "client_secret_basic")
    hands.press(page.get_by_role("button", name="Register client"))
    expect(page.get_by_role("heading", name="Client secret, shown once")).to_be_visible()
    return page.locator("#secret").inner_text()


def _all(hands: Mouse, address: str, clock: servers.Upstream) -> None:
    record = Record()
    let_in(hands.page, address, "ana")
    _register(hands, address, clock)
    record.says(
        ("system:mandate", "key.made", "issuer:", ""),
        ("ana", "system.registered", "system:clock", ""),
        ("ana", "secret.set", "system:clock", ""),
        ("ana", "system.edited", "system:clock", "A typing error."),
    )
    _secret_anew(hands, clock)
    tools = ["tool:clock/convert_time", "tool:clock/get_current_time"]
    record.says(
        ("ana", "secret.set", "system:clock", ""), *(("ana", "tool.found", tool, "") for tool in reversed(tools))
    )
    _approve_and_bundle(hands, address)
    record.says(
        *(("ana", "tool.approved", tool, "Reads only, of low risk.") for tool in tools),
        ("ana", "entitlement.made", "entitlement:clock:tell-the-time", ""),
    )
    secret = _agent_and_client(hands, address)
    record.says(
        ("ana", "agent.registered", "agent:time-teller", ""),
        ("ana", "client.credential_proposed", "client:time-teller", ""),
    )
    acceptance.accept(ClientCredential.objects.get(state="waiting").pk, by=Person.objects.get(login="sofia"))

    assert System.objects.get(slug="clock").upstream_url == clock.url
    assert Tool.objects.filter(system__slug="clock", state="approved").count() == 2
    made = Entitlement.objects.get(scope="clock:tell-the-time")
    assert [line.tool.name for line in made.lines.all()] == ["get_current_time"]
    assert Agent.objects.get(slug="time-teller").sponsor.login == "sofia"
    assert Client.objects.get(client_id="time-teller").auth == "client_secret_basic"
    hands.page.goto(f"{address}/agents/time-teller/clients/time-teller/")
    assert secret not in hands.page.content()


@pytest.mark.usefixtures("here")
def test_everything_is_set_up_by_keys_alone(visitor: Visitor, clock: servers.Upstream) -> None:
    _all(Keys(visitor.page), visitor.address, clock)
    failed = [each for each in visitor.wrong if "Failed to load resource" not in each]  # a refused form, and no script
    assert (failed, visitor.violations()) == ([], [])


@pytest.mark.usefixtures("here")
def test_everything_is_set_up_by_touch_on_a_phone(
    browser: Browser, live_server: LiveServer, clock: servers.Upstream
) -> None:
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = phone.new_page()
    page.set_default_timeout(1000 * waits.SECONDS)
    _all(Finger(page), live_server.url.replace("127.0.0.1", "localhost"), clock)
    phone.close()
