"""The first fifteen minutes: from an empty database to the first governed call and its end, by the set-up pages alone.

The commands are the compose file's own, with DEMO off, behind TLS. Three things differ from a host on the internet, and
each is said by an ordinary setting: the names are `localhost` with ports, certificates come from an authority of this
test (SSL_CERT_FILE, REQUESTS_CA_BUNDLE), and PRIVATE_NETWORKS lets the product reach this machine, where the company's
sign-in and the MCP server are. `check --deploy` says so of the networks and of the issuer, and has nothing else to say.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts import devstack
from scripts.devservers import free_port
from tests import second_factor, waits
from tests.architecture import tree
from tests.browser import company_idp
from tests.browser.conftest import browser
from tests.browser.opening import open_address
from tests.deployments import outside
from tests.deployments.test_compose import Deployment

__all__ = ["browser"]

pytestmark = pytest.mark.timeout(600)

PASSWORD = "a good long pass phrase"


@dataclass
class Installation:
    """The processes of the compose file, and what is around them."""

    deployment: outside.Runs
    console: str
    gateway: str
    letters: list[str]
    system: str
    authority: Path


@dataclass
class Visitor:
    """Somebody at a browser of their own, with their second factor."""

    page: Page
    console: str
    codes: list[str] = field(default_factory=list)

    def come_in(self, link: str) -> None:
        """Open an invitation: a password, an authenticator app, recovery codes."""
        open_address(self.page, link)
        self.page.fill("input[name=new_password]", PASSWORD)
        self.page.fill("input[name=again]", PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/totp/activate/")
        secret = self.page.locator("#authenticator_secret").input_value()
        self.page.fill("input[name=code]", second_factor.code(secret))
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/recovery-codes/")
        self.codes = re.findall(r"\b[0-9a-f]{8}\b", self._areas())
        assert len(self.codes) >= 10, self.page.content()

    def _areas(self) -> str:
        return " ".join(area.input_value() for area in self.page.locator("textarea").all())

    def go(self, path: str) -> None:
        """Open a page of ours by its address."""
        open_address(self.page, self.console + path)

    def press(self, name: str, *, within: str = "main", exact: bool = False) -> None:
        """Press a button or follow a link of this name; prove who one is where that is asked."""
        here = self.page.locator(within)
        found = here.get_by_role("button", name=name, exact=exact).or_(here.get_by_role("link", name=name, exact=exact))
        found.first.click()
        self.page.wait_for_load_state()
        if "/reauthenticate/" in self.page.url:
            self.prove()

    def prove(self) -> None:
        """Give a recovery code: a code of the app counts once in thirty seconds."""
        self.page.fill("input[name=code]", self.codes.pop())
        self.page.keyboard.press("Enter")
        expect(self.page.locator("input[name=code]")).to_have_count(0)
        self.page.wait_for_load_state()

    def send(self) -> None:
        """Send the form of the page; prove who one is where that is asked, and the form is sent again."""
        self.page.locator("main form button.primary").last.click()
        self.page.wait_for_load_state()
        if "/reauthenticate/" in self.page.url:
            self.prove()

    def line(self, key: str) -> Any:  # noqa: ANN401 - Playwright's locator
        """Return a line of the set-up page."""
        if not self.page.url.startswith(f"{self.console}/settings/setup/"):
            self.go("/settings/setup/")
        return self.page.locator(f"li#{key}")

    def try_line(self, key: str, word: str = "Passed") -> None:
        """Press a line's test and see its state."""
        self.line(key).get_by_role("button", name="Test").click()
        self.expect(key, word)

    def expect(self, key: str, word: str = "Passed") -> None:
        """See how far a line of the set-up page is."""
        line = self.line(key)
        expect(line.locator(".how-far"), line.inner_text()).to_have_text(word)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start everything the way `docker compose up` does: migrate first, on a database with nothing in it."""
    folder = tmp_path_factory.mktemp("first")
    certificates = outside.certify(tmp_path_factory.mktemp("certificates"))
    console, gateway = free_port(), free_port()
    with (
        devstack.stack(fast=True, given={}) as stack,
        company_idp.running(**certificates.for_uvicorn()) as company,
        outside.mailbox(certificates) as (mail, letters),
        outside.system(certificates) as system,
    ):
        made = Deployment(stack, folder)
        made.dotenv |= {
            "CONSOLE_HOST": f"localhost:{console}", "GATEWAY_HOST": f"localhost:{gateway}",
            "CONSOLE_URL": f"https://localhost:{console}", "GATEWAY_URL": f"https://localhost:{gateway}",
            "OIDC_ISSUER": company.issuer, "OIDC_CLIENT_ID": company_idp.CLIENT, "OIDC_NAME": "Example Corp",
            "MAIL_FROM": "mandate@example.org", "PRIVATE_NETWORKS": "127.0.0.0/8,::1/128",
        }  # fmt: skip
        (folder / "oidc_client_secret").write_text(company_idp.SECRET)
        (folder / "mail_url").write_text(f"smtps://localhost:{mail}")
        made.besides = {
            "SSL_CERT_FILE": str(certificates.authority),
            "REQUESTS_CA_BUNDLE": str(certificates.authority),
        }
        try:
            web, edge = int(made.ports["8000"]), int(made.ports["8001"])
            with outside.proxy(certificates, {console: web, gateway: edge}, edge):
                _up(made)
                addresses = (f"https://localhost:{console}", f"https://localhost:{gateway}")
                yield Installation(made, *addresses, letters, system, certificates.authority)
        finally:
            made.stop()


def _up(made: Deployment) -> None:
    from tests.deployments.test_compose import OURS  # noqa: PLC0415 - beside what uses it

    outside.collect_static(made)
    migrated = made.run("migrate", OURS["migrate"]["command"], 180)
    assert migrated.returncode == 0, migrated.stderr
    for name in ("web", "gateway", "sealer", "worker", "beat"):
        made.start(name)
    for name in ("web", "gateway", "sealer"):
        assert made.comes_up(name), name


def _visitor(browser: Browser, installation: Installation) -> Visitor:
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * waits.SECONDS)
    return Visitor(page, installation.console)


def test_an_outsider_reaches_the_first_governed_call_and_its_end_by_the_set_up_pages_alone(
    installation: Installation, browser: Browser
) -> None:
    walk(installation, browser)
    checked = installation.deployment.run(
        "web", ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    )
    assert re.findall(r"\((\w+\.\w+)\)", checked.stderr) == ["mandate.E008", "mandate.E013"], checked.stderr


def walk(installation: Installation, browser: Browser) -> None:
    """Go the whole way, with three people at three browsers. `make engine` goes it too, in containers."""
    ada, bea, olga = (_visitor(browser, installation) for _ in range(3))
    made = installation.deployment.run("web", ["python", "manage.py", "first_admin", "ada@example.org"])
    assert made.returncode == 0, made.stderr
    ada.come_in(made.stdout.strip())
    ada.go("/")
    expect(ada.page.get_by_text("Set-up is not complete, so high-risk access is refused.")).to_be_visible()
    ada.press("Continue set-up")
    expect(
        ada.page.get_by_text("0 of 10 checks pass.").or_(ada.page.get_by_text("1 of 10 checks pass."))
    ).to_be_visible()

    anchor_and_mail(ada, installation)
    company_sign_in(ada)
    second_administrator(ada, bea, installation)
    backup(ada)
    analyst(ada, olga, installation)
    first_system(olga, installation)
    first_agent(olga, bea, installation)
    first_access(olga, bea)
    stop(olga, first_call(olga, installation), installation)

    for key in ("system", "agent", "client", "call", "stop"):
        ada.try_line(key)
    expect(ada.page.get_by_text("10 of 10 checks pass.")).to_be_visible()
    ada.go("/")
    expect(ada.page.get_by_text("Set-up is not complete")).to_have_count(0)


def anchor_and_mail(ada: Visitor, installation: Installation) -> None:
    ada.try_line("anchor")
    ada.try_line("mail")
    assert "can send mail" in installation.letters[0]


def company_sign_in(ada: Visitor) -> None:
    ada.try_line("sign_in", "Not yet")
    ada.press("Trust", within="li#sign_in")
    ada.press("Test my company sign-in", within="li#sign_in")
    ada.press("Continue to the company sign-in", within="li#sign_in")
    ada.page.fill("input[name=sub]", "00u-ada")
    ada.page.get_by_role("button", name="Go").click()
    ada.page.wait_for_url(re.compile("/settings/sign-in/authenticate/"))
    ada.prove()
    ada.expect("sign_in")


def second_administrator(ada: Visitor, bea: Visitor, installation: Installation) -> None:
    ada.expect("second_admin", "Not yet")
    ada.page.fill("#email", "bea@example.org")
    ada.press("Invite", within="li#second_admin form", exact=True)
    expect(ada.page.get_by_text("was sent a link")).to_be_visible()
    bea.come_in(_link(installation.letters[-1]))
    ada.try_line("second_admin")


def backup(ada: Visitor) -> None:
    ada.line("backup").get_by_text("Confirm that a backup was made").click()
    ada.page.fill("#where", "s3://backups; the key is in the safe")
    ada.press("Confirm the backup")
    ada.expect("backup")


def analyst(ada: Visitor, olga: Visitor, installation: Installation) -> None:
    ada.line("second_admin").get_by_text("Invite a colleague").click()
    ada.page.fill("#email", "olga@example.org")
    ada.page.uncheck("input[name=role][value=admin]")
    ada.page.check("input[name=role][value=analyst]")
    ada.press("Invite", within="li#second_admin form", exact=True)
    olga.come_in(_link(installation.letters[-1]))


def first_system(olga: Visitor, installation: Installation) -> None:
    olga.line("system")
    olga.press("Register a system", within="li#system")
    olga.page.fill("input[name=name]", "Clock")
    olga.page.fill("input[name=upstream_url]", installation.system)
    olga.page.fill("input[name=owner]", "ada")
    olga.send()
    olga.page.wait_for_url("**/systems/clock/")
    olga.page.locator('form[action="/systems/clock/discover/"] button').first.click()
    olga.press("Approve 2 reading tools")
    olga.expect("system")
    olga.press("Make its tools requestable", within="li#system")
    olga.page.fill("input[name=name]", "Read the clock")
    for tick in olga.page.locator("input[name=tool]").all():
        tick.check()
    olga.send()


def first_agent(olga: Visitor, bea: Visitor, installation: Installation) -> None:
    olga.line("agent")
    olga.press("Register an agent", within="li#agent")
    olga.page.fill("input[name=name]", "Bell")
    olga.page.check("input[name=kind][value=service]")
    olga.page.fill("[name=purpose]", "Rings at noon.")
    olga.page.fill("input[name=sponsor]", "bea")
    olga.page.fill("input[name=owner]", "ada")
    olga.send()
    olga.page.wait_for_url("**/agents/bell/")
    olga.line("agent")
    olga.press("Add its client", within="li#agent")
    olga.page.check("input[name=auth][value=private_key_jwt]")
    olga.page.fill("[name=jwks]", _bash(_KEY.read_text(), installation))
    olga.send()
    olga.expect("agent", "Not yet")
    bea.go("/")
    bea.press("New client: bell")
    bea.press("Accept", exact=True)
    expect(bea.page.get_by_text("Accepted. bell works for Bell from now on.")).to_be_visible()
    olga.go("/settings/setup/")
    olga.expect("agent")


def first_access(olga: Visitor, bea: Visitor) -> None:
    olga.press("Request access", within="li#client")
    olga.page.select_option("select[name=entitlement]", "clock:read-the-clock")
    olga.press("Continue")
    olga.page.fill("[name=reason]", "It rings at noon.")
    olga.send()
    olga.page.wait_for_url(re.compile("/requests/[0-9a-f-]{36}/"))
    bea.go("/")
    bea.press("Decide next")
    bea.page.locator('button[value="approve"]').click()
    expect(bea.page.get_by_text("The access is in force until it ends.")).to_be_visible()


def first_call(olga: Visitor, installation: Installation) -> str:
    olga.line("client")
    olga.press("Connect a client", within="li#client")
    olga.page.get_by_role("link", name="curl", exact=True).click()
    recipe = olga.page.locator("#step-2").inner_text()
    printed = _bash(recipe, installation)
    assert "get_current_time" in printed, printed
    call = recipe.partition('curl -fsS "$url"')[0] + _CALL % installation.gateway
    assert "It is noon in Europe/Paris." in _bash(call, installation)
    for key in ("client", "call"):
        olga.go("/settings/setup/")
        olga.expect(key)
    return call


_KEY = tree.ROOT / "governance" / "connect" / "texts" / "key.sh"
_CALL = """curl -s %s/gw/clock/mcp -H "Authorization: Bearer $token" \\
  -H "Content-Type: application/json" -H "Accept: application/json, text/event-stream" \\
  -H "MCP-Protocol-Version: 2026-07-28" -H "Mcp-Method: tools/call" -H "Mcp-Name: get_current_time" \\
  -d '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_current_time",
  "arguments":{"zone":"Europe/Paris"},
  "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}'
"""


def _bash(script: str, installation: Installation) -> str:
    environment = {"PATH": os.environ["PATH"], "CURL_CA_BUNDLE": str(installation.authority)}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=installation.authority.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=waits.SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


def stop(olga: Visitor, call: str, installation: Installation) -> None:
    olga.press("Revoke its access", within="li#stop")
    olga.page.fill("textarea[name=reason]", "A test of stopping.")
    olga.page.locator("button.danger").click()
    olga.page.wait_for_url(re.compile("/stop/receipts/"))
    olga.expect("stop")
    printed = _bash(call, installation)
    assert "noon" not in printed, printed


def _link(letter: str) -> str:
    found = re.search(r"https://[\w.]+:\d+/welcome/[\w-]{43}/", letter.replace("=\r\n", "").replace("=\n", ""))
    assert found, letter
    return found[0]
