from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.entitlements.oauth import worlds


@pytest.fixture
def world(db: None) -> worlds.World:  # noqa: ARG001
    from tests.entitlements.oauth import worlds  # noqa: PLC0415 - the settings are known only now

    return worlds.world()
