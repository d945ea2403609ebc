from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import shared

if TYPE_CHECKING:
    from tests.entitlements.edge.worlds import World


def _world() -> World:
    from tests.entitlements.edge import worlds  # noqa: PLC0415 - the settings are known only now

    return worlds.world()


made_world, shared_world = shared.world(_world)


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world
