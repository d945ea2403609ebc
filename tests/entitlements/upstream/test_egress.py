"""The one way out leads to public addresses alone."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from entitlements.upstream import egress, prefixes


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "2002:808:808::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fec0::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00::1",
        "ff02::1",
        "2001:db8::1",
        "100::1",
        "3fff::1",
        "5f00::1",
        "",
        "localhost",
        "2130706433",
        "0x7f000001",
        "127.1",
    ],
)
def test_ways_back_into_our_own_network_are_not_public(address: str) -> None:
    assert not prefixes.is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_the_open_internet_is_public(address: str) -> None:
    assert prefixes.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https://user@example.com/",
        "https://:pw@example.com/",
        "https://example.com/#part",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[fe80::1%25eth0]/",
        "https://2130706433/",
        "https://127.0.0.1/",
        "http://localhost/",
        "https://example.com:0/",
        "https://example.com:x/",
        "//example.com/",
        "",
    ],
)
def test_addresses_that_are_not_ours_to_call_are_refused(url: str, settings: Settings) -> None:
    settings.DEMO = False

    with pytest.raises(egress.ForbiddenAddress):
        egress.check_url(url)


def test_the_demo_may_call_this_machine_and_no_other_by_http(settings: Settings) -> None:
    settings.DEMO = True

    egress.check_url("http://localhost:8101/mcp")
    with pytest.raises(egress.ForbiddenAddress):
        egress.check_url("http://example.com/")
    with pytest.raises(egress.ForbiddenAddress):
        egress.check_url("https://10.0.0.1/")


def test_a_private_network_that_the_operator_names_may_be_reached_by_https_alone(settings: Settings) -> None:
    settings.DEMO, settings.PRIVATE_NETWORKS = False, (ip_network("10.20.0.0/16"), ip_network("fd00:1::/64"))

    for url in ("https://10.20.3.4/mcp", "https://[fd00:1::7]/mcp"):
        egress.check_url(url)
    for url in ("http://10.20.3.4/mcp", "https://10.21.0.1/", "https://127.0.0.1/", "https://169.254.169.254/"):
        with pytest.raises(egress.ForbiddenAddress):
            egress.check_url(url)


@pytest.mark.loopback
def test_a_name_with_one_private_address_among_public_ones_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEMO = False

    async def answers(*_: object, **__: object) -> list[tuple[Any, ...]]:
        found = ("1.1.1.1", "10.0.0.7")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in found]

    async def fetch() -> object:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answers)
        return await egress.fetch_json("https://rebinding.example/jwks.json")

    with pytest.raises(egress.ForbiddenAddress):
        asyncio.run(fetch())
