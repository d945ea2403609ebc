"""Every door counts and records a visitor by the address that a trusted proxy reports, and by the peer's otherwise."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.checks import Tags, run_checks
from django.test import Client
from pytest_django.fixtures import Settings

from audit.models import StrangerCount
from entitlements.gateway.http import Request
from governance import front
from governance.operations import checks
from tests.architecture import tree

PROXY, CLIENT = "172.31.254.2", "203.0.113.9"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def behind_a_proxy(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = (ip_network(f"{PROXY}/32"),)


@pytest.mark.django_db
@pytest.mark.usefixtures("behind_a_proxy")
@pytest.mark.parametrize("peer", [PROXY, "198.51.100.7"])
@pytest.mark.parametrize(
    ("method", "address", "body", "kind"),
    [
        ("POST", "/login/", "login=no-such-login&password=wrong", FORM),
        ("GET", "/api/v1/agents", "", FORM),
        ("GET", "/scim/v2/Users", "", "application/scim+json"),
    ],
)
def test_a_stranger_at_any_door_of_the_web_process_counts_by_the_real_address(
    peer: str, method: str, address: str, body: str, kind: str
) -> None:
    forwarded = {"x-forwarded-for": f"192.0.2.1, {CLIENT}", "forwarded": "for=192.0.2.2"}
    Client(headers=forwarded).generic(method, address, body, content_type=kind, REMOTE_ADDR=peer)
    counted = set(StrangerCount.objects.values_list("source", flat=True))
    assert counted == {CLIENT if peer == PROXY else peer}


def _source(peer: tuple[str, int] | None, *headers: tuple[bytes, bytes]) -> str:
    async def unused(*_: Any) -> Any:  # noqa: ANN401
        raise AssertionError

    scope = {"method": "POST", "path": "/gw/clock/mcp", "headers": headers, "client": peer}
    return Request.of(scope, unused, unused).source


@pytest.mark.usefixtures("behind_a_proxy")
def test_the_gateway_counts_by_the_same_rule() -> None:
    forwarded, dropped = (b"x-forwarded-for", b"192.0.2.1"), (b"forwarded", b"for=192.0.2.2")
    assert _source((PROXY, 1), forwarded, (b"x-forwarded-for", CLIENT.encode()), dropped) == CLIENT
    assert _source((PROXY, 1), (b"x_forwarded_for", b"192.0.2.1"), dropped) == PROXY
    assert _source(("198.51.100.7", 1), forwarded) == "198.51.100.7"
    assert _source((PROXY, 1), (b"x-forwarded-for", b"\xff\x00")) == PROXY
    assert _source(None, forwarded) == ""


def test_no_other_module_reads_who_a_proxy_says_that_it_came_from() -> None:
    assert configured.MIDDLEWARE[0] == "governance.console.middleware.ClientAddressMiddleware"
    reading = re.compile(r"x[-_]forwarded[-_]for|scope(\.get\(|\[)['\"]client['\"]", re.IGNORECASE)
    readers = {
        str(path.relative_to(tree.ROOT))
        for floor in ("audit", "entitlements", "governance")
        for path in (tree.ROOT / floor).rglob("*.py")
        if reading.search(path.read_text())
    }
    servers = {
        "entitlements/gateway/http.py",
        "governance/front.py",
        "governance/web_server/bodies.py",
    }  # they hand on whom they were reached by
    assert readers == {"audit/client_address.py", "governance/variables.py", *servers}


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "2000::/3"])
def test_trust_in_large_parts_of_the_internet_is_refused(network: str, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"), ip_network("fc00::/7"), ip_network(network))
    problems = [each for each in run_checks(tags=[Tags.security]) if each.id == "mandate.E014"]
    assert [network in problem.msg for problem in problems] == [True]


def test_a_proxy_in_front_that_is_not_trusted_is_warned_of(settings: Settings) -> None:
    settings.BEHIND_TLS_PROXY, settings.TRUSTED_PROXIES = True, ()
    assert [warning.id for warning in checks.visitors_are_apart(None)] == ["mandate.W001"]
    settings.TRUSTED_PROXIES = (ip_network(f"{PROXY}/32"),)
    assert checks.visitors_are_apart(None) == []


def test_the_processes_alone_bound_bodies_and_the_proxy_hands_on_what_they_take() -> None:
    assert "max_size" not in (tree.ROOT / "deploy/Caddyfile").read_text()
    assert f"bodies of {front.LARGEST >> 20} MiB pass" in (tree.ROOT / "docs/operate/kubernetes.md").read_text()
