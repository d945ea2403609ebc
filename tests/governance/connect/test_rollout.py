"""Rolling out: each file parses, names what is served and nothing else, and holds no secret."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from entitlements.catalog.models import System
from entitlements.clients.models import Client
from governance.connect.rollout import FILES
from tests import make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def company(settings: Settings) -> Company:
    settings.REGISTRY_READERS = (ip_network("10.0.0.0/8"),)
    made = companies.found()
    make.rewrite(make.client(made.bot, "desk", auth=Client.Auth.NONE)[0], redirect_uris="http://localhost/callback")
    make.system("gone", status=System.Status.DISABLED)
    make.system("native", kind=System.Kind.MCP, upstream_url="https://vendor.example/mcp")
    return made


def _download(company: Company, name: str, client: str = "desk") -> Any:  # noqa: ANN401 - a JSON file
    answer = visits.as_(company.ana).get(f"/connect/rollout/{name}", {"client": client})
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Content-Type"] == "application/json"
    return answer.json()


def test_claude_code_gets_all_systems_with_one_sign_in_and_the_client_that_it_is(
    company: Company, settings: Settings
) -> None:
    every = {"type": "http", "url": f"{settings.GATEWAY_URL}/gw/mcp", "oauth": {"clientId": "desk"}}
    assert _download(company, "managed-mcp.json") == {"mcpServers": {"mandate": every}}


def test_allowlists_name_addresses_which_nobody_can_choose_as_they_do_names(
    company: Company, settings: Settings
) -> None:
    allowed = [{"serverUrl": f"{settings.GATEWAY_URL}/gw/{path}"} for path in ("mcp", "clock/mcp")]
    assert _download(company, "copilot-managed-settings.json") == {"allowedMcpServers": allowed}
    assert _download(company, "claude-code-managed-settings.json") == {
        "allowManagedMcpServersOnly": True,
        "allowedMcpServers": allowed,
    }


def test_vs_code_is_led_to_the_registry_only_where_it_may_be_read(company: Company, settings: Settings) -> None:
    assert _download(company, "vs-code-policy.json") == {
        "McpGalleryServiceUrl": settings.CONSOLE_URL,
        "ChatMCP": "registry",
    }
    settings.REGISTRY_READERS = ()
    assert visits.as_(company.ana).get("/connect/rollout/vs-code-policy.json").status_code == 404
    page = visits.text(visits.as_(company.ana).get("/connect/rollout/"))
    assert "First let programs read the registry" in page


def test_the_page_shows_each_file_as_it_is_downloaded(company: Company) -> None:
    page = visits.text(visits.as_(company.ana).get("/connect/rollout/"))
    assert page.count('<pre class="wrap" id="file-') == len(FILES)
    assert "10.0.0.0/8" in page
    assert "gone" not in page


def test_without_a_client_for_claude_code_the_page_says_what_to_register(company: Company) -> None:
    desk = Client.objects.get(client_id="desk")
    for spoil in ({"status": Client.Status.DISABLED}, {"redirect_uris": "http://127.0.0.1/callback"}):
        make.rewrite(desk, **{"status": Client.Status.ACTIVE, "redirect_uris": "http://localhost/callback"} | spoil)
        page = visits.text(visits.as_(company.ana).get("/connect/rollout/"))
        assert "First register a client for Claude Code" in page
        answer = visits.as_(company.ana).get("/connect/rollout/managed-mcp.json", {"client": "desk"})
        assert answer.status_code == 404


@pytest.mark.parametrize("path", ["", "managed-mcp.json", "copilot-managed-settings.json"])
@pytest.mark.parametrize("who", ["sofia", "sam", "alice", "mallory"])
def test_only_who_may_register_systems_rolls_out(company: Company, who: str, path: str) -> None:
    assert visits.as_(company.ana).get(f"/connect/rollout/{path}", {"client": "desk"}).status_code == 200
    assert visits.as_(getattr(company, who)).get(f"/connect/rollout/{path}").status_code == 403
    assert visits.refusals() == [(f"person:{who}", "forbidden")]
