"""Stand-in servers for discovery sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from . import stand_in


@pytest.fixture
def there(settings: Settings) -> Iterator[stand_in.StandIn]:
    """Run the server of a source."""
    settings.DEMO = True  # where a server on this machine is allowed
    with stand_in.stand_in() as running:
        yield running


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[stand_in.StandIn]:
    """Run another party's server."""
    settings.DEMO = True
    with stand_in.stand_in() as running:
        yield running
