"""Each way to a system through the gateway: registered as people do, called as its clients do, answered in one form."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
from django.test import override_settings

from audit.context import SYSTEM
from entitlements import tasks
from entitlements.catalog import systems, tools
from entitlements.catalog.models import System, Tool
from entitlements.rest_apis import rest_apis, sources
from entitlements.rest_apis.models import RestApi
from entitlements.secrets import vault
from entitlements.stdio_commands import proposals
from entitlements.stdio_commands import systems as stdio_systems
from entitlements.stdio_commands.models import StdioSystem
from tests import make
from tests.nodes.gateway import rest_world, world
from tests.nodes.gateway.world import Gateway, World
from tests.nodes.promises.upstreams import Upstream
from tests.promises import table

SECRET: Final = "canary-upstream-5f0c1b7e"
METHODS: Final = {"read_note": "GET", "delete_note": "DELETE"}


@dataclass(frozen=True)
class Reply:
    """What a client was answered: `code` is empty for a call that went through, and `text` is all of it."""

    status: int
    code: str
    evaluation: str
    text: str


@dataclass
class Place:
    """One way, the server at its end, and a system that was registered for it."""

    way: str
    upstream: Upstream
    system: System

    def world(self, *, limits: Mapping[str, Any] | None = None, system: System | None = None) -> World:
        """Make an agent with a grant on `read_note` of a system like this one, or of this `system`."""
        made = system or self.another()
        tool = made.tools.get(name="read_note")
        here = world.on(tool, limits={tool.name: limits} if limits else None)
        here.arguments = {"text": "a b"}
        return here

    def another(self) -> System:
        """Copy the system with its tools, as rows; its credential is the canary."""
        like = self.system
        slug = f"{like.slug[:40]}-{uuid.uuid4().hex[:8]}"
        made = make.system(slug, kind=like.kind, upstream_url=like.upstream_url, owner=like.owner)
        for tool in like.tools.select_related("approved"):
            assert tool.approved is not None
            make.tool(made, tool.name, definition=tool.approved.definition)
        for command in StdioSystem.objects.filter(system=like):
            StdioSystem.objects.create(system=made, command=command.command, terms=command.terms)
        vault.set_secret(made, kind="bearer", value=SECRET, by=SYSTEM)
        return made

    def token(self, here: World, **changes: object) -> str:
        """Sign a token for the address of this way."""
        return rest_world.token(here, **changes) if self.way == table.REST else here.token(**changes)

    def call(
        self, node: Gateway, here: World, token: str = "", *, tool: str = "read_note", **arguments: object
    ) -> Reply:
        """Call a tool as a client of this way does."""
        token, given = token or self.token(here), arguments or here.arguments
        if self.way == table.REST:
            target = f"/notes?{urlencode(given)}"
            return reply(rest_world.ask(node, here, METHODS[tool], target, with_token=token))
        return reply(node.modern(here.system.slug, "tools/call", token, name=tool, arguments=given))


def reply(answer: httpx2.Response) -> Reply:
    """Read an answer of either address."""
    text, body = f"{answer.headers}\n{answer.text}", json.loads(answer.text or "{}")
    if answer.headers["content-type"] == "application/problem+json":
        return Reply(answer.status_code, body["code"], body.get("evaluation_id", ""), text)
    if "error" in body:
        data = body["error"].get("data") or {}
        code = data.get("code", str(body["error"]["code"]))
        return Reply(answer.status_code, code, data.get("evaluation_id", ""), text)
    denial = body.get("result", {}).get("_meta", {}).get("mandate/denial", {}) if "jsonrpc" in body else {}
    return Reply(answer.status_code, denial.get("code", ""), denial.get("evaluation_id", ""), text)


def registered(way: str, upstream: Upstream, terms: Mapping[str, Any] | None = None) -> Place:
    """Register a system for a server as people do, have it asked for its tools, and approve them."""
    slug, owner = f"notes-{uuid.uuid4().hex[:8]}", make.person(f"owner-{uuid.uuid4().hex[:8]}")
    named: dict[str, Any] = {"name": slug, "owner": owner, "by": SYSTEM}
    with override_settings(DEMO=True):  # servers of this machine
        match way:
            case table.MCP:
                kind = System.Kind.MCP_GATEWAY
                system = systems.register_system(slug, kind=kind, upstream_url=upstream.url, **named)
            case table.REST | table.REST_BY_MCP:
                system = rest_apis.register(slug, source=sources.fetch(f"{upstream.url}/openapi"), **named)
            case _:
                proposal = proposals.propose(slug, by=make.analyst(f"ana-{slug}"), reason="test", **(terms or {}))
                proposals.KIND.confirm(proposal.pk, by=make.security(f"sam-{slug}"))
                system = stdio_systems.register(slug, command=slug, **named)
        vault.set_secret(system, kind="bearer", value=SECRET, by=SYSTEM)
        discover(system)
    approve(system)
    return Place(way, upstream, system)


def discover(system: System) -> None:
    """Ask a system for its tools, as its turn comes."""
    with override_settings(DEMO=True):
        tasks.discover_tools(system.pk)


def approve(system: System) -> None:
    """Approve each tool of a system as it is offered now."""
    for tool in Tool.objects.filter(system=system).select_related("seen", "system"):
        assert tool.seen is not None
        approval = tools.Approval(tool, tool.seen.sha256, f"Does {tool.name}.", "read", "low")
        tools.approve_tool(approval, by=SYSTEM, reason="read")


def document_of(system: System) -> RestApi:
    """Return what describes a REST API."""
    return RestApi.objects.get(system=system)
