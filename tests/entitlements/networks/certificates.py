"""A company's own authority, and certificates of it, made for one test."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both as PEM."""

    certificate: str
    key: str


class Authority:
    """Signs certificates for servers and clients."""

    def __init__(self, name: str = "Example CA", *, ends: timedelta = timedelta(days=30)) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.row = self._signed(self.name, self.key.public_key(), ends, is_authority=True)
        self.pem = self.row.public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        *hosts: str,
        ends: timedelta = timedelta(days=7),
        use: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
        curve: ec.EllipticCurve | None = None,
    ) -> Pair:
        """Sign a certificate for hosts, or by `use` for a client."""
        key = ec.generate_private_key(curve or ec.SECP256R1())
        signed = self._signed(_name(hosts[0]), key.public_key(), ends, hosts, use)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Pair(signed.public_bytes(Encoding.PEM).decode(), private)

    def for_client(self, name: str = "mandate", **terms: timedelta) -> Pair:
        """Sign a client certificate."""
        return self.issue(name, use=ExtendedKeyUsageOID.CLIENT_AUTH, **terms)  # type: ignore[arg-type]

    def _signed(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        ends: timedelta,
        hosts: tuple[str, ...] = (),
        use: x509.ObjectIdentifier | None = None,
        *,
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=is_authority,
            crl_sign=is_authority,
            **dict.fromkeys(
                (
                    *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
                    *("encipher_only", "decipher_only"),
                ),
                False,
            ),
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_host, hosts))), critical=False)
        if use is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
