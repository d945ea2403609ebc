"""Which networks may be opened for a system, and which certificates are taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from entitlements.networks import errors, rules
from tests.entitlements.networks.certificates import Authority

NOW = datetime.now(UTC)
COMPANY = Authority()


@pytest.mark.parametrize(
    "text", ["10.20.0.0/16", "172.16.4.0/22", "192.168.1.7/32", "100.64.0.0/16", "fd00:1::/64", "10.1.2.3"]
)
def test_private_networks_may_be_opened(text: str) -> None:
    assert rules.read_prefixes([text])


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.0/8", "127.0.0.1/32", "::1/128", "169.254.0.0/16", "169.254.169.254/32", "fe80::/10", "0.0.0.0/0"),
        *("::/0", "8.8.8.0/24", "10.0.0.0/7", "224.0.0.0/4", "::ffff:10.0.0.0/104", "64:ff9b::a00:0/104"),
        *("100.100.100.200/32", "fd00:ec2::254/128", "2001:db8::/32", "0.0.0.0/8", "192.0.2.0/24", "198.18.0.0/15"),
    ],
)
def test_what_is_not_private_is_never_opened(text: str) -> None:
    with pytest.raises(errors.NetworkForbidden):
        rules.read_prefixes([text])


@pytest.mark.parametrize("text", ["10.20.0.1/16", "ten", "", "10.0.0.0/33", "10.20.0.0-10.20.0.9", "fd00::%eth0/64"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises((errors.NetworkMalformed, errors.NetworkForbidden)):
        rules.read_prefixes([text])
    with pytest.raises(errors.NetworkMalformed):
        rules.read_prefixes(f"10.0.{n}.0/24" for n in range(33))


def test_networks_are_ordered_and_each_is_named_once() -> None:
    found = rules.read_prefixes(["192.168.0.0/24", "10.0.0.0/8", "10.0.0.0/8", "fd00::/64"])
    assert list(map(str, found)) == ["10.0.0.0/8", "192.168.0.0/24", "fd00::/64"]


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        *(("10.20.3.4", True), ("10.21.0.1", False), ("100.64.0.9", True), ("fd00:ec2::1", True)),
        *(("100.100.100.200", False), ("fd00:ec2::254", False), ("127.0.0.1", False), ("169.254.169.254", False)),
        *(("::ffff:10.20.3.4", False), ("", False), ("erp", False)),
    ],
)
def test_an_open_network_opens_no_metadata_service(address: str, *, is_open: bool) -> None:
    prefixes = rules.read_prefixes(["10.20.0.0/16", "100.64.0.0/10", "fd00:ec2::/32"])
    assert rules.opens(address, prefixes) is is_open


def test_even_a_row_that_nobody_should_have_written_opens_only_what_is_private() -> None:
    written = tuple(map(ip_network, ("0.0.0.0/0", "::/0")))
    assert rules.opens("10.1.1.1", written)
    for address in ("127.0.0.1", "169.254.169.254", "::1", "fe80::1", "8.8.8.8"):
        assert not rules.opens(address, written)


def test_a_company_ca_is_certificates_of_authorities_that_are_valid() -> None:
    text, shown = rules.read_authorities(f"A comment\n{COMPANY.pem}", NOW)
    assert (text.strip(), shown[0].subject) == (COMPANY.pem.strip(), "CN=Example CA")
    assert rules.authorities_of(text) == shown
    assert rules.read_authorities(" \n", NOW) == ("", ())
    over = Authority(ends=timedelta(days=-1))
    leaf = COMPANY.issue("erp.example")
    for wrong in (leaf.certificate, over.pem, leaf.key, "PEM", "x" * 70_000, COMPANY.pem * 11, COMPANY.pem + leaf.key):
        with pytest.raises(errors.NetworkMalformed):
            rules.read_authorities(wrong, NOW)


def test_a_client_certificate_comes_with_its_own_key() -> None:
    pair, other = COMPANY.for_client(), COMPANY.for_client()
    checked = rules.read_client_certificate(pair.certificate + COMPANY.pem, pair.key, NOW)
    assert checked.chain.count("BEGIN CERTIFICATE") == 2
    assert (checked.shown.subject, len(checked.shown.fingerprint)) == ("CN=mandate", 64)
    over = COMPANY.for_client(ends=timedelta(days=-1))
    weak = COMPANY.issue("mandate", use=ExtendedKeyUsageOID.CLIENT_AUTH, curve=ec.SECP224R1())
    server = COMPANY.issue("erp.example")
    for chain, key in (
        (pair.certificate, other.key),
        (pair.certificate, ""),
        ("", pair.key),
        (pair.certificate + pair.key, pair.key),
        (over.certificate, over.key),
        (weak.certificate, weak.key),
        (server.certificate, server.key),
    ):
        with pytest.raises(errors.ClientCertificateMalformed):
            rules.read_client_certificate(chain, key, NOW)
