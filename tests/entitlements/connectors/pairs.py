"""Connectors in both states, for tests that need some."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from entitlements.catalog.models import System
from entitlements.connectors import connectors, proof
from entitlements.connectors.connectors import NewConnector
from entitlements.connectors.models import Connector
from entitlements.networks import networks
from entitlements.people.models import Person
from tests import make

type Pair = tuple[Connector, NewConnector]


def enrol(made: NewConnector) -> Connector:
    """Enrol a connector with a key of its own."""
    return connectors.enrol(code=made.code, public_key=proof.public_text(Ed25519PrivateKey.generate()))


def pair(of: System) -> Pair:
    """Make a connector that is enrolled, and another one that waits."""
    first, second = (connectors.add(of, name="hall", by=make.analyst(), reason="for a test") for _ in range(2))
    return enrol(first), second


def samples(of: System, *, by: Person) -> dict[str, object]:
    """Propose a network of a system and make a connector of it; returns both for the addresses of the console."""
    proposed = networks.propose(of, prefixes=["10.0.0.0/8"], by=by, reason="a sample")
    made = connectors.add(of, name="sample", by=by, reason="a sample")
    return {"systems/network": proposed.pk, "systems/connector": made.connector.pk}
