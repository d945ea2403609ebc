from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases

if TYPE_CHECKING:
    from tests.nodes.event_streams.worlds import Pair


@pytest.fixture(scope="module")
def made_pair(
    django_db_setup: None,  # noqa: ARG001
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    from tests.nodes.event_streams import worlds  # noqa: PLC0415 - the settings are known only now

    with databases.emptied(django_db_blocker), worlds.pair(tmp_path_factory.mktemp("archive")) as made:
        yield made


@pytest.fixture
def pair(made_pair: Pair) -> Iterator[Pair]:
    from tests.nodes.event_streams import worlds  # noqa: PLC0415 - as above

    yield made_pair
    worlds.clear()
