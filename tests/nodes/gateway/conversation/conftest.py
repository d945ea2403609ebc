"""A server of 2025 that says what its calls ask for, and a world behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.nodes.gateway.conversation.talker import Talker
    from tests.nodes.gateway.world import Gateway, World


@pytest.fixture(scope="module")
def old() -> Iterator[Talker]:
    """Run the server."""
    from tests.nodes.gateway.conversation import talker  # noqa: PLC0415 - the settings are known only now

    with talker.talking(is_modern=False) as server:
        yield server


@pytest.fixture
def here(node: Gateway, old: Talker) -> World:  # noqa: ARG001 - the node must run
    """Make a world behind it, of which it has heard nothing yet."""
    from tests.nodes.gateway.conversation.desk import world_of  # noqa: PLC0415 - as above

    old.heard.clear()
    return world_of(old)
