"""MCP Inspector, unmodified, on its command line: a person signs in at a system, or at the company for all of them."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from scripts.devservers import free_port
from tests.conformance import client_site, desk, nodejs

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("packages"),
]
node, here, uncalled, described = desk.node, desk.here, desk.uncalled, client_site.described
packages = nodejs.packages
PROGRAM = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
LIST = ("--method", "tools/list")
_JWT = re.compile(r"(ey[\w-]+)\.[\w-]+\.([\w-]+)")
CALL = ("--method", "tools/call", "--tool-name", desk.TOOL, "--tool-arg", "timezone=UTC")


@dataclass(frozen=True)
class Inspector:
    """The program with its settings; it keeps what it has been given in the folder."""

    folder: Path
    browser: desk.Browser
    settings: tuple[str, ...]

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run it once, and return the result that it prints."""
        back = f"http://127.0.0.1:{free_port()}/callback"
        ended = nodejs.run(
            self.folder,
            PROGRAM,
            "--cli",
            *self.settings,
            *("--callback-url", back, "--format", "json"),
            *arguments,
            browser=self.browser,
            environment={"MCP_INSPECTOR_SECRET_STORE": "file"},
        )
        assert ended.code == 0, ended.output
        return dict(
            json.loads(next(line for line in ended.output.splitlines() if line.startswith('{"result"')))["result"]
        )

    def age(self) -> None:
        """Let each token that it keeps be over, as far as it can read that: a while has passed."""
        file = self.folder / ".mcp-inspector/secrets.json"
        kept = json.loads(file.read_text())
        kept["secrets"] = {name: _JWT.sub(_expired, value) for name, value in kept["secrets"].items()}
        file.write_text(json.dumps(kept))


def _expired(token: re.Match[str]) -> str:
    claims = base64.urlsafe_b64encode(b'{"exp": 1}').rstrip(b"=").decode()
    return f"{token[1]}.{claims}.{token[2]}"


def test_it_signs_in_at_a_system_and_again_when_that_was_ended(node: Gateway, here: World, tmp_path: Path) -> None:
    browser, server = desk.Browser(here.person), f"{node.base}/gw/{here.system.slug}/mcp"
    settings = ("--server-url", server, "--transport", "http", "--client-id", desk.CLIENT)
    inspector = Inspector(tmp_path, browser, settings)

    assert desk.TOOL in [tool["name"] for tool in inspector.run(*LIST)["tools"]]
    assert inspector.run(*CALL)["structuredContent"]["timezone"] == "UTC"
    assert len(browser.visits) == 1

    desk.end_sign_in()
    assert desk.TOOL in [tool["name"] for tool in inspector.run(*LIST, "--protocol-era", "modern")["tools"]]
    assert len(browser.visits) == 2


@pytest.fixture
def managed(node: Gateway, uncalled: World, tmp_path: Path) -> Inspector:
    """Return the program as a company sets it up: its people sign in at the company alone."""
    from entitlements import addresses  # noqa: PLC0415 - the settings are known only now
    from tests import make  # noqa: PLC0415

    client, secret = make.client(uncalled.agent, "inspector", auth="client_secret_basic")
    make.rewrite(client, redirect_uris=desk.REDIRECT)
    company = {"issuer": addresses.issuer("idp"), "clientId": client.client_id, "clientSecret": secret}
    asked = {"clientId": client.client_id, "clientSecret": secret, "enterpriseManaged": True}
    server = {"type": "streamable-http", "url": f"{node.base}/gw/{uncalled.system.slug}/mcp", "oauth": asked}
    servers, config = tmp_path / "servers.json", tmp_path / "client.json"
    servers.write_text(json.dumps({"mcpServers": {"time": server}}))
    config.write_text(json.dumps({"enterpriseManagedAuth": {"idp": company}}))
    settings = ("--config", str(servers), "--server", "time", "--client-config", str(config))
    return Inspector(tmp_path, desk.Browser(uncalled.person), settings)


def test_a_sign_in_at_the_company_gets_assertions_for_the_system_and_lasts_longer_than_its_tokens(
    managed: Inspector,
) -> None:
    from audit.models import Event  # noqa: PLC0415 - the settings are known only now
    from entitlements import addresses  # noqa: PLC0415
    from entitlements.tokens.models import IssuedToken  # noqa: PLC0415

    assert desk.TOOL in [tool["name"] for tool in managed.run(*LIST)["tools"]]
    managed.age()
    assert desk.TOOL in [tool["name"] for tool in managed.run(*LIST)["tools"]]
    (visit,) = managed.browser.visits
    assert visit.startswith(f"{addresses.issuer('idp')}/authorize?")
    assert "scope=openid+offline_access" in visit
    assert set(IssuedToken.objects.values_list("kind", flat=True)) == {"id_jag", "access_token"}
    issued = [event.detail["kind"] for event in Event.objects.filter(action="token.issued")]
    assert issued.count("id_token") == 2  # the second by a refresh


def test_it_signs_in_as_a_client_that_describes_itself(
    node: Gateway, uncalled: World, described: str, tmp_path: Path
) -> None:
    browser, server = desk.Browser(uncalled.person), f"{node.base}/gw/{uncalled.system.slug}/mcp"
    inspector = Inspector(tmp_path, browser, ("--server-url", server, "--client-metadata-url", described))
    assert desk.TOOL in [tool["name"] for tool in inspector.run(*LIST)["tools"]]
    assert f"client_id={quote(described, safe='')}&" in browser.visits[0]
