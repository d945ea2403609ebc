"""A company with a vendor that has an authorization server of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import shared

if TYPE_CHECKING:
    from tests.entitlements.vendors import worlds


def _world() -> worlds.VendorWorld:
    from tests.entitlements.vendors import worlds  # noqa: PLC0415 - the settings are known only now

    return worlds.vendor_world()


made_world, world = shared.world(_world)
