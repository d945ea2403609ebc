"""The network of a system as the way out uses it: what it opens, whom it trusts, by what it signs in."""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from entitlements.catalog.models import System
from entitlements.networks import rules
from entitlements.networks.models import ClientCertificate, SystemNetwork
from entitlements.networks.rules import Prefix
from entitlements.secrets import seal

CURRENT: Final = """
SELECT n.prefixes, n.relayed, n.company_ca, c.chain, c.sealed_key FROM entitlements_system y
LEFT JOIN entitlements_systemnetwork n ON n.system_id = y.id AND n.state = 'in_force'
LEFT JOIN entitlements_clientcertificate c ON c.system_id = y.id
WHERE y.id = %s AND (n.system_id IS NOT NULL OR c.system_id IS NOT NULL)
"""
"""What `of_rows` takes, of one system."""


@dataclass(frozen=True, slots=True)
class Network:
    """How one system is reached. An empty `company_ca` leaves the public roots in force.

    Where `relayed` names any `host:port`, the system is reached by its connectors alone, and nothing else is.
    """

    prefixes: tuple[Prefix, ...] = ()
    company_ca: str = ""
    chain: str = ""
    key: bytes = field(default=b"", repr=False)
    relayed: tuple[str, ...] = ()

    def opens(self, address: str) -> bool:
        """Say whether an address of a private network may be connected to for this system."""
        return rules.opens(address, self.prefixes)

    def digest(self) -> str:
        """Name this network among all that a system had."""
        parts = (*map(str, self.prefixes), *self.relayed, self.company_ca, self.chain)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def tls(self) -> ssl.SSLContext | None:
        """Return how to speak TLS to the system; None for the usual way, with the public roots and no certificate."""
        if not self.company_ca and not self.chain:
            return None
        context = ssl.create_default_context(cadata=self.company_ca or None)
        if self.chain:
            _load(context, self.chain, self.key)
        return context


def place(system_id: int) -> str:
    """Return what a system's sealed private key is bound to, so that it opens in no other row."""
    return f"client-certificate:{system_id}"


def open_for(system: System) -> Network | None:
    """Open the network of a system for discovery; None where it has none. Raises SealBroken."""
    agreed = SystemNetwork.objects.filter(system=system, state=SystemNetwork.State.IN_FORCE).first()
    shown = ClientCertificate.objects.filter(system=system).first()
    if agreed is None and shown is None:
        return None
    terms = (agreed.prefixes, agreed.relayed, agreed.company_ca) if agreed else (None, None, None)
    return _opened(system.pk, (*terms, *((shown.chain, shown.sealed_key) if shown else (None, None))))


def of_rows(system_id: int, rows: Sequence[Sequence[Any]]) -> Network | None:
    """Return what the rows of `CURRENT` say of a system. Raises SealBroken."""
    return _opened(system_id, rows[0]) if rows else None


def _opened(system_id: int, row: Sequence[Any]) -> Network:
    prefixes, relayed, company_ca, chain, sealed = row
    key = seal.unseal(bytes(sealed), place(system_id)) if sealed is not None else b""
    opened = tuple(ip_network(text) for text in prefixes or ())
    return Network(opened, company_ca or "", chain or "", key, tuple(relayed or ()))


def _load(context: ssl.SSLContext, chain: str, key: bytes) -> None:
    """Give a context its certificate. The library reads files alone, so the key is in one, encrypted for this once."""
    word = os.urandom(16).hex()
    private = load_pem_private_key(key, password=None)
    locked = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(word.encode()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.pem"
        path.touch(0o600)
        path.write_bytes(locked + chain.encode())
        context.load_cert_chain(path, password=word)
