"""Where a request comes from: the peer, or what proxies of ours report; never what a client writes itself."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from pytest_django.fixtures import Settings

from audit import client_address
from audit.models import StrangerCount
from audit.refusals import refusals

PROXY, SECOND = "172.31.254.2", "10.9.0.7"


@pytest.fixture
def trusted(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = (ip_network(f"{PROXY}/32"), ip_network("10.9.0.0/24"), ip_network("fd00:9::/64"))


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        (PROXY, "203.0.113.9", "203.0.113.9"),
        (PROXY, "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the left one came with the request
        (PROXY, f"198.51.100.1, 203.0.113.9, {SECOND}", "203.0.113.9"),  # two proxies in a row
        (PROXY, f"{SECOND}, {SECOND}", SECOND),  # nothing but proxies: the farthest
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # a stranger's own header
        ("203.0.113.9", f"198.51.100.1, {PROXY}", "203.0.113.9"),  # who names our proxy is not behind it
        (PROXY, "", PROXY),
        (PROXY, "198.51.100.1, unknown", PROXY),  # an entry that is no address ends the reading
        (PROXY, "198.51.100.1, \x00", PROXY),
        (PROXY, ",".join(["198.51.100.1"] + [SECOND] * 500), SECOND),
        (PROXY, "203.0.113.9:4711", "203.0.113.9"),
        (PROXY, "[2001:db8::9]:4711", "2001:db8::9"),
        (PROXY, "2001:DB8:0::9", "2001:db8::9"),
        ("::ffff:172.31.254.2", "::ffff:203.0.113.9", "203.0.113.9"),
        ("fd00:9::1%eth0", "2001:db8::9", "2001:db8::9"),
        ("", "203.0.113.9", ""),  # a socket in the file system is no proxy that was named
        ("unix:", "203.0.113.9", "unix:"),
    ],
)
def test_the_header_is_read_from_the_right_past_our_own_proxies_alone(
    peer: str, forwarded_for: str, client: str
) -> None:
    assert client_address.resolve(peer, forwarded_for) == client


def test_without_trusted_proxies_no_header_counts(settings: Settings) -> None:
    assert settings.TRUSTED_PROXIES == ()
    assert client_address.resolve(PROXY, "203.0.113.9") == PROXY


@pytest.mark.parametrize(
    ("source", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "::ffff:203.0.113.9"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),  # counted twice is counted the same
        ("client:night-watch", "client:night-watch"),
        ("", ""),
    ],
)
def test_an_ipv6_source_counts_by_its_64(source: str, counted: str) -> None:
    assert client_address.counted_as(source) == counted


@pytest.mark.django_db
def test_strangers_of_one_network_share_a_count() -> None:
    for number in range(5):
        refusals.count_stranger("sign_in_failed", f"2001:db8:1:2::{number}")
    refusals.count_stranger("sign_in_failed", "2001:db8:1:3::1")
    counts = StrangerCount.objects.values_list("source", "count").order_by("source")
    assert list(counts) == [("2001:db8:1:2::/64", 5), ("2001:db8:1:3::/64", 1)]
