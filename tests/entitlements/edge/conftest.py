from __future__ import annotations

from typing import TYPE_CHECKING

from tests import shared

if TYPE_CHECKING:
    from tests.entitlements.edge import worlds


def _world() -> worlds.World:
    from tests.entitlements.edge import worlds  # noqa: PLC0415 - the settings are known only now

    return worlds.world()


made_world, world = shared.world(_world)
