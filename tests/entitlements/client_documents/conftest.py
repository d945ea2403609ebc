"""A company whose agent is shared, the site of a client's maker, and the policy that allows its host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.fixtures import Settings

from tests import shared

if TYPE_CHECKING:
    from entitlements.client_documents.models import ClientHost
    from entitlements.people.models import Person
    from tests.entitlements.client_documents.site import Site
    from tests.entitlements.edge.worlds import World


def _world() -> World:
    from tests.entitlements.client_documents import company  # noqa: PLC0415 - the settings are known only now

    return company.world()


made_world, world = shared.world(_world)


@pytest.fixture(autouse=True)
def signed_in(world: World) -> None:
    """Let alice's browser be signed in."""
    from tests.entitlements.edge import test_code_flow as flow  # noqa: PLC0415

    flow.sign_in(world)


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    from tests.entitlements.client_documents import site as sites  # noqa: PLC0415

    settings.DEMO = True  # servers on loopback
    with sites.served() as served:
        yield served


@pytest.fixture
def analyst(world: World) -> Person:  # noqa: ARG001 - of the same company
    from tests import make  # noqa: PLC0415

    return make.analyst()


@pytest.fixture
def allowed(world: World, site: Site, analyst: Person) -> ClientHost:
    from tests.entitlements.client_documents import company  # noqa: PLC0415

    return company.allow(site.url("/"), world.agent, analyst)
