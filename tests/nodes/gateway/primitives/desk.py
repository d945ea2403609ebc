"""A world whose system is the server of this folder, discovered and approved as it really lists what it has."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings

from scripts.devservers import free_port
from tests import waits
from tests.conformance import servers

if TYPE_CHECKING:
    from entitlements.catalog.models import System, Tool
    from tests.nodes.gateway.world import Gateway, World

NOTES, ORDERS = "resources/crm://notes", "resources/templates/crm://customers/{id}/orders"
GREET = "prompts/greet"


def uri(name: str) -> str:
    """Return the URI or the template of a row."""
    return name.removeprefix("resources/").removeprefix("templates/")


@dataclass(frozen=True)
class Server:
    """A running server."""

    base: str

    @property
    def url(self) -> str:
        return f"{self.base}/mcp"

    def seen(self) -> list[str]:
        """Return what arrived, in order."""
        with urllib.request.urlopen(f"{self.base}/seen", timeout=waits.SECONDS) as answer:  # noqa: S310 - our own loopback address
            return list(json.load(answer))


@contextlib.contextmanager
def serving(*more: str) -> Iterator[Server]:
    base = f"http://localhost:{(port := free_port())}"
    with servers.serving(["-m", "tests.nodes.gateway.primitives.server", str(port), *more], f"{base}/healthz"):
        yield Server(base)


def discovered(url: str) -> System:
    """Register a server, discover and approve everything that it offers."""
    from audit.context import SYSTEM  # noqa: PLC0415 - the settings are known only now
    from entitlements.catalog import discovery, tools  # noqa: PLC0415
    from entitlements.catalog.tools import Approval  # noqa: PLC0415
    from entitlements.secrets import vault  # noqa: PLC0415
    from entitlements.upstream import upstream  # noqa: PLC0415
    from tests import make  # noqa: PLC0415

    system = make.system(f"crm-{uuid.uuid4().hex[:8]}", upstream_url=url)
    vault.set_secret(system, kind="bearer", value="upstream-secret", by=SYSTEM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "DEMO", True)  # the server is on this machine
        listed = asyncio.run(upstream.discover(system))
    found = discovery.record_discovery(system, listed, by=SYSTEM)
    assert not found.malformed, found.malformed
    approver = make.analyst()
    for tool in system.tools.select_related("seen", "system"):
        assert tool.seen is not None
        approval = Approval(tool, tool.seen.sha256, tool.sentence or "Reads.", tool.action, "low")
        tools.approve_tool(approval, by=approver.principal)
    return system


def granted(
    system: System, *names: str, limits: Mapping[str, Mapping[str, Any]] | None = None, world: World | None = None
) -> World:
    """Make an agent with a grant for one person on some rows of a system; with `world`, its agent gets one more."""
    from tests import make  # noqa: PLC0415 - the settings are known only now
    from tests.nodes.gateway import world as worlds  # noqa: PLC0415

    rows: list[Tool] = [system.tools.select_related("system").get(name=name) for name in names]
    scope = f"{system.slug}:{uuid.uuid4().hex[:8]}"
    if world is None:
        return worlds.on(*rows, limits=limits, scope=scope)
    entitlement = make.entitlement(system, *rows, scope=scope)
    make.grant(world.agent, entitlement, people=[world.person], limits=limits)
    return world


def token(world: World) -> str:
    """Sign a token with the scopes of every grant of the world's agent."""
    scopes = world.agent.grants.values_list("entitlement__scope", flat=True)
    return world.token(scope=" ".join(sorted({*scopes})))


def ask(node: Gateway, world: World, method: str, *, slug: str = "", **params: object) -> dict[str, Any]:
    """Send a request of 2026-07-28 and return the answer's body, with its status."""
    named = params.get("name", params.get("uri"))
    headers = {"Mcp-Name": named} if isinstance(named, str) else {}
    answer = node.modern(slug or world.system.slug, method, token(world), headers=headers, **params)
    return {**answer.json(), "status": answer.status_code}


def result(node: Gateway, world: World, method: str, *, slug: str = "", **params: object) -> dict[str, Any]:
    """Send a request of 2026-07-28 and return its result."""
    body = ask(node, world, method, slug=slug, **params)
    assert "result" in body, body
    return dict(body["result"])
