"""What a revocation says of tokens that a vendor minted for our ID-JAGs, which live as long as the vendor decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from audit import clock
from entitlements.revocation import revocation
from entitlements.tokens.models import IssuedToken
from entitlements.unmanaged_agents.models import PathTerms
from tests.entitlements.vendors.worlds import VendorWorld


def residual(world: VendorWorld) -> list[dict[str, Any]]:
    return revocation.residual(revocation.Target("grant", str(world.grant.pk)))


def aged(seconds: int) -> None:
    """Let the ID-JAG have expired so long ago."""
    now = clock.now()
    IssuedToken.objects.update(issued_at=now - timedelta(hours=9), expires_at=now - timedelta(seconds=seconds))


def test_an_unknown_lifetime_never_gets_a_time_of_death(world: VendorWorld) -> None:
    assert residual(world) == []
    world.id_jag()
    named = [{"what": "tokens the vendor minted", "where": "maps", "dies_at": None}]
    assert residual(world) == named
    aged(3600)
    assert residual(world) == named
    IssuedToken.objects.update(revoked_at=clock.now(), revoke_reason="odd")
    assert residual(world) == named


@pytest.mark.parametrize(("ago", "names"), [(0, ["maps"]), (500, ["maps"]), (600, [])])
def test_a_measured_lifetime_counts_from_the_last_moment_of_the_assertion(
    world: VendorWorld, ago: int, names: list[str]
) -> None:
    PathTerms.objects.create(
        system=world.vendor,
        path="native",
        token_basis="measured",
        token_seconds=540,
        said_by="person:ana",
        said_at=clock.now(),
        reason="Measured.",
    )
    world.id_jag()
    aged(ago)
    last = IssuedToken.objects.get().expires_at
    dies_at = (last + timedelta(seconds=540)).isoformat()
    assert [entry["where"] for entry in residual(world)] == names
    assert all(entry["dies_at"] == dies_at for entry in residual(world))
