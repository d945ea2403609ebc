"""Ways to make the gateway speak to an address inside, or hand a credential to somebody else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.export import timeline
from entitlements.catalog import systems
from entitlements.secrets import vault
from entitlements.upstream import egress
from tests import make, waits
from tests.entitlements.api import client


@pytest.fixture
def inside() -> Iterator[socket.socket]:
    """Listen where nobody may be sent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(waits.MOMENT)
        yield listening


def was_reached(inside: socket.socket) -> bool:
    try:
        inside.accept()[0].close()
    except TimeoutError:
        return False
    return True


@pytest.mark.loopback
@pytest.mark.parametrize("host", ["127。0。0。1", "127。0.0.1", "①27.0.0.1", "\uff11\uff12\uff17.0.0.1", "127.0.0.1"])
def test_an_address_in_other_digits_or_dots_is_no_way_inside(
    inside: socket.socket, settings: Settings, host: str
) -> None:
    settings.DEMO = False
    with pytest.raises(egress.ForbiddenAddress):
        asyncio.run(egress.fetch_json(f"https://{host}:{inside.getsockname()[1]}/jwks.json"))
    assert not was_reached(inside)


@pytest.mark.loopback
def test_the_socket_itself_is_refused_an_address_that_no_check_of_the_text_has_caught(
    inside: socket.socket, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEMO = False
    url = f"https://127.0.0.1:{inside.getsockname()[1]}/"
    monkeypatch.setattr(egress, "check_url", lambda _url, _network=None: None)
    with pytest.raises((egress.ForbiddenAddress, egress.Unreachable)):
        asyncio.run(egress.fetch_json(url))
    assert not was_reached(inside)


@pytest.mark.django_db
def test_an_analyst_who_moves_a_system_to_her_own_server_does_not_get_its_credential() -> None:
    system = make.system("time", upstream_url="https://time.example/mcp")
    vault.set_secret(system, kind="bearer", value="upstream-secret-0815", by=SYSTEM)
    read = (ana := client.proven(make.analyst())).get("/api/v1/systems/time")

    moved = ana.patch(
        "/api/v1/systems/time",
        {"upstream_url": "https://evil.example/mcp", "reason": "new host"},
        headers={"If-Match": read["ETag"]},
    )

    assert (moved.status_code, moved.json()["secret"]) == (200, None)
    assert vault.open_for(system) is None
    event = timeline.of("system", "time").last()
    assert event is not None
    assert event.detail["credential_forgotten"] is True


@pytest.mark.django_db
def test_a_system_that_only_moves_to_another_path_keeps_its_credential() -> None:
    system = make.system("time", upstream_url="https://time.example/mcp")
    vault.set_secret(system, kind="bearer", value="upstream-secret-0815", by=SYSTEM)

    systems.edit_system(system, by=SYSTEM, upstream_url="https://time.example/v2/mcp", reason="v2")

    assert vault.open_for(system) is not None
