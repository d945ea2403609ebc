"""Which private networks may be opened for a system, which authorities vouch for it, which certificate we show. Pure.

Sources: RFC 1918, RFC 6598 and RFC 4193 for what is private; RFC 5280 for certificates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from . import errors

type Prefix = IPv4Network | IPv6Network
type Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

MOST_PREFIXES: Final = 32
MOST_RELAYED: Final = 16
MOST_CERTIFICATES: Final = 10
LONGEST_PEM: Final = 65_536
_SMALLEST_RSA: Final = 2048
_CURVES: Final = frozenset({"secp256r1", "secp384r1"})
_LARGEST_PORT: Final = 65_535
_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_PRIVATE: Final = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_METADATA: Final = tuple(ip_network(text) for text in ("100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128"))
"""Where clouds hand out credentials inside private ranges; the others are link-local."""
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


@dataclass(frozen=True, slots=True)
class Certificate:
    """What people see of a certificate. `fingerprint` is SHA-256 in hexadecimal."""

    subject: str
    fingerprint: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class CheckedChain:
    """A client certificate with its chain as PEM, its private key as PKCS #8 PEM, and what people see of it."""

    chain: str
    key: bytes
    shown: Certificate


def read_prefixes(texts: Iterable[str]) -> tuple[Prefix, ...]:
    """Return networks in order, each once. Raises NetworkMalformed, and NetworkForbidden for what is never opened."""
    found: dict[Prefix, None] = {}
    for text in texts:
        try:
            prefix = ip_network(text.strip().replace("%", "no zones"))
        except ValueError as why:
            raise errors.NetworkMalformed(f"{text.strip()[:50]} is not a network in CIDR notation.") from why
        if not any(_within(prefix, private) for private in _PRIVATE) or any(
            _within(prefix, each) for each in _METADATA
        ):
            raise errors.NetworkForbidden(network=str(prefix))
        found[prefix] = None
    if len(found) > MOST_PREFIXES:
        raise errors.NetworkMalformed(f"Name at most {MOST_PREFIXES} networks.")
    return tuple(sorted(found, key=lambda prefix: (prefix.version, prefix)))


def opens(address: str, prefixes: Sequence[Prefix]) -> bool:
    """Say whether these networks open an address, written plainly; what is never opened is not, whatever they hold."""
    return is_private(address) and any(ip_address(address) in prefix for prefix in prefixes)


def is_private(address: str) -> bool:
    """Say whether an address, written plainly, is one that the network of a system may open."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in private for private in _PRIVATE) and not any(parsed in each for each in _METADATA)


def read_relayed(texts: Iterable[str]) -> tuple[str, ...]:
    """Return each `host:port` that a connector reaches, once, in order, and written in one way.

    Raises NetworkMalformed, and NetworkForbidden for addresses that no connector connects to.
    """
    found: set[str] = set()
    for text in texts:
        host, _, port = text.strip().rpartition(":")
        if not port.isdecimal() or not port.isascii() or not 0 < int(port) <= _LARGEST_PORT:
            raise errors.NetworkMalformed(f"{text.strip()[:80]} is not written as host:port.")
        found.add(relayed(host.removeprefix("[").removesuffix("]"), int(port)))
    if len(found) > MOST_RELAYED:
        raise errors.NetworkMalformed(f"Name at most {MOST_RELAYED} hosts with their ports.")
    return tuple(sorted(found))


def relayed(host: str, port: int) -> str:
    """Write a host and a port as they are compared. Raises NetworkMalformed, NetworkForbidden."""
    name = host.lower()
    try:
        address = ip_address(name.replace("%", "no zones"))
    except ValueError as why:
        if not _NAME.fullmatch(name) or name.rpartition(".")[2].isdecimal():
            raise errors.NetworkMalformed(f"{host[:80]} is no host.") from why
        return f"{name}:{port}"
    if is_forbidden(name):
        raise errors.NetworkForbidden("No connector connects to link-local addresses or cloud metadata.", host=name)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"  # noqa: PLR2004 - of the protocol


def is_forbidden(address: str) -> bool:
    """Say whether an address, written plainly, is one that no connector connects to, whatever is listed."""
    inner = _inner(ip_address(address))
    return inner.is_link_local or inner.is_multicast or inner.is_unspecified or any(inner in each for each in _METADATA)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that one of IPv6 leads to: mapped, by 6to4, or by NAT64; else the address itself."""
    if not isinstance(address, IPv6Address):
        return address
    if any(address in prefix for prefix in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def read_authorities(pem: str, now: datetime) -> tuple[str, tuple[Certificate, ...]]:
    """Return the certificates of a company CA as PEM, and what people see of each; nothing for an empty text.

    Raises NetworkMalformed for what is no certificate of an authority, or is over.
    """
    if not pem.strip():
        return "", ()
    certificates = _certificates(pem)
    for each in certificates:
        if not _is_authority(each):
            raise errors.NetworkMalformed(f"{_name(each)} is not the certificate of an authority (CA:TRUE).")
        if each.not_valid_after_utc <= now:
            raise errors.NetworkMalformed(f"The certificate of {_name(each)} has expired.")
    text = "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)
    return text, tuple(map(described, certificates))


def read_client_certificate(chain: str, key: str, now: datetime) -> CheckedChain:
    """Return a client certificate and its key, checked to belong together. Raises ClientCertificateMalformed."""
    try:
        certificates = _certificates(chain)
        private = load_pem_private_key(key.encode(), password=None)
    except (errors.NetworkMalformed, ValueError, TypeError) as why:
        raise errors.ClientCertificateMalformed from why
    first = certificates[0]
    if not isinstance(private, Key.__value__) or not _is_strong(private):
        raise errors.ClientCertificateMalformed("The key is P-256, P-384, Ed25519 or RSA with at least 2048 bits.")
    if _public(first) != private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise errors.ClientCertificateMalformed("The private key does not belong to the first certificate.")
    if not first.not_valid_before_utc <= now < first.not_valid_after_utc:
        raise errors.ClientCertificateMalformed("The certificate is not valid now.")
    if not _is_for_clients(first):
        raise errors.ClientCertificateMalformed("The certificate is not for clients (clientAuth).")
    text = "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)
    plain = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return CheckedChain(text, plain, described(first))


def described(certificate: x509.Certificate) -> Certificate:
    """Return what people see of a certificate."""
    return Certificate(
        _name(certificate),
        certificate.fingerprint(hashes.SHA256()).hex(),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def authorities_of(pem: str) -> tuple[Certificate, ...]:
    """Return what people see of a stored company CA."""
    return tuple(map(described, x509.load_pem_x509_certificates(pem.encode()))) if pem else ()


def _within(inner: Prefix, outer: Prefix) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # of one version


def _certificates(pem: str) -> list[x509.Certificate]:
    if len(pem) > LONGEST_PEM or "PRIVATE KEY" in pem:
        raise errors.NetworkMalformed("Give certificates alone, as PEM of at most 64 KB; never a private key.")
    try:
        found = x509.load_pem_x509_certificates(pem.encode("ascii", "replace"))
    except ValueError as why:
        raise errors.NetworkMalformed("The text is not certificates as PEM.") from why
    if len(found) > MOST_CERTIFICATES:
        raise errors.NetworkMalformed(f"Give at most {MOST_CERTIFICATES} certificates.")
    return found


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _is_for_clients(certificate: x509.Certificate) -> bool:
    """Say whether a certificate that names its uses names clients (RFC 5280 section 4.2.1.12)."""
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in uses or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in uses


def _is_strong(key: Key) -> bool:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.key_size >= _SMALLEST_RSA
    return not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name in _CURVES


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()[:200]
