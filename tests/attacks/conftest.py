"""The company that is attacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.entitlements.edge import worlds


@pytest.fixture
def world(db: None) -> worlds.World:  # noqa: ARG001
    """Make a small company whose agent may use one tool for alice."""
    from tests.entitlements.edge import worlds  # noqa: PLC0415

    return worlds.world()
