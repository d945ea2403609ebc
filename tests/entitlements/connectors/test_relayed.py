"""What a connector reaches is written in one way, agreed on by two people, and enforced where a connection is made."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from entitlements.connectors import program
from entitlements.networks import errors, networks, rules
from entitlements.networks.network import Network, open_for
from entitlements.upstream import egress, upstream
from entitlements.upstream.upstream import Target
from tests import make

REASON = "for a test"
WAY = Network(relayed=("erp.internal:8443",))


def test_hosts_and_ports_are_written_in_one_way() -> None:
    given = ["ERP.internal:8443", "10.0.0.7:443", "[FD00::7]:443", "erp.internal:08443", "localhost:1"]
    assert rules.read_relayed(given) == ("10.0.0.7:443", "[fd00::7]:443", "erp.internal:8443", "localhost:1")


@pytest.mark.parametrize(
    "text",
    [
        *("", "erp", "erp:", ":443", "erp:0", "erp:65536", "erp:x", "erp:\u0664\u0664\u0663", "e rp:443", "-erp:443"),
        *("erp.:443", "1.2.3:443", "0x7f.1:443", "erp_x:443", "https://erp:443", "user@erp:443", "erp/x:443"),
        *("\u00e9rp:443", "fe80::1%1:443"),
    ],
)
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(errors.NetworkMalformed):
        rules.read_relayed([text])


@pytest.mark.parametrize(
    "text",
    [
        *("169.254.169.254:80", "[fe80::1]:443", "100.100.100.200:80", "[fd00:ec2::254]:80", "0.0.0.0:443"),
        *("[::]:443", "[::ffff:169.254.169.254]:80", "224.0.0.1:443"),
        *("[64:ff9b::a9fe:a9fe]:80", "[64:ff9b:1::6464:64c8]:80", "[2002:a9fe:a9fe::]:80"),
    ],
)
def test_metadata_and_link_local_addresses_are_never_relayed_to(text: str) -> None:
    with pytest.raises(errors.NetworkForbidden):
        rules.read_relayed([text])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("https://erp.internal:8443/mcp", {"relayed": ["other.internal:8443"]}),
        ("https://erp.internal:8443/mcp", {"relayed": ["erp.internal:8443"], "prefixes": ["10.0.0.0/8"]}),
        ("http://erp.internal:8443/mcp", {"relayed": ["erp.internal:8443"]}),
    ],
)
def test_a_proposal_that_cannot_work_is_refused(url: str, given: dict[str, Any]) -> None:
    system = make.system(upstream_url=url)
    with pytest.raises(errors.NetworkMalformed):
        networks.propose(system, **given, by=make.analyst(), reason=REASON)


@pytest.mark.django_db
def test_two_people_agree_on_what_is_relayed() -> None:
    system = make.system(upstream_url="https://erp.internal/mcp")
    row = networks.propose(system, relayed=["erp.internal:443"], by=make.analyst(), reason=REASON)
    assert open_for(system) is None
    networks.KIND.confirm(row.pk, by=make.security())
    assert open_for(system) == Network(relayed=("erp.internal:443",))


@pytest.mark.parametrize(
    "url",
    ["https://other.internal:8443/", "https://erp.internal/", "http://erp.internal:8443/", "https://127.0.0.1:8443/"],
)
def test_a_system_with_connectors_is_reached_by_listed_hosts_over_https_alone(url: str, settings: Settings) -> None:
    settings.DEMO = True
    egress.check_url("https://erp.internal:8443/mcp", WAY)
    with pytest.raises(egress.ForbiddenAddress):
        egress.check_url(url, WAY)


def test_the_pool_dials_listed_hosts_alone() -> None:
    asked: list[str] = []

    async def dial(target: str) -> socket.socket:
        asked.append(target)
        raise ConnectionError

    async def visit(url: str) -> None:
        async with egress.client(network=WAY, dial=dial) as http:
            with pytest.raises(OSError):  # noqa: PT011 - of several kinds
                await http.get(url)

    for url in ("https://erp.internal:8443/", "https://erp.internal:8444/", "http://erp.internal:8443/"):
        asyncio.run(visit(url))
    assert asked == ["erp.internal:8443"]


def test_without_a_node_nothing_is_reached() -> None:
    with pytest.raises(egress.Unreachable):
        asyncio.run(upstream.tools(Target("https://erp.internal:8443/mcp", network=WAY)))


@pytest.mark.parametrize(
    ("host", "address", "may"),
    [
        ("erp.internal", "10.0.0.7", True),
        ("erp.internal", "169.254.169.254", False),
        ("erp.internal", "::ffff:169.254.169.254", False),
        ("erp.internal", "127.0.0.1", False),
        ("localhost", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
    ],
)
def test_a_name_leads_the_connector_to_no_forbidden_address(host: str, address: str, may: bool) -> None:  # noqa: FBT001
    assert program._may_connect(host, address) is may
