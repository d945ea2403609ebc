"""What tests of the function that issues share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.entitlements.tokens.lanes import Lanes


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    """Return two sides that meet."""
    from tests.entitlements.tokens import lanes  # noqa: PLC0415 - the settings are known only now

    with lanes.lanes() as made:
        yield made
