"""A small world behind a real gateway process: one system, one agent that acts for alice, tokens really signed."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx2

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.agents import personal_agents
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.clients.models import Client
from entitlements.feed import changes
from entitlements.feed.models import GatewayNode
from entitlements.gateway import answers
from entitlements.grants.models import Grant
from entitlements.keys import session_keys, signing
from entitlements.people.models import Person
from entitlements.secrets import vault
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken, TokenGrant
from scripts.devservers import free_port
from tests import make, waits

ROOT = Path(__file__).resolve().parents[3]
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
TLS = ssl.create_default_context()
"""For clients of a moment, which else read the certificates of all authorities for each request."""
TIMEZONE: dict[str, Any] = {"type": "object", "properties": {"timezone": {"type": "string"}}, "required": ["timezone"]}


@dataclass(frozen=True)
class Gateway:
    """One node, a child process."""

    base: str
    child: subprocess.Popen[bytes]

    def post(
        self,
        slug: str,
        body: object,
        token: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = waits.SECONDS,
    ) -> httpx2.Response:
        """POST a message as it is, with exactly these headers."""
        sent = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"{self.base}{answers.path(slug)}"
        return httpx2.post(url, content=content, headers=sent, timeout=seconds, verify=TLS)

    def modern(
        self, slug: str, method: str, token: str | None, *, headers: Mapping[str, str] | None = None, **params: object
    ) -> httpx2.Response:
        """POST a well-formed message of 2026-07-28."""
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": META, **params}}
        sent = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if "name" in params:
            sent["Mcp-Name"] = str(params["name"])
        return self.post(slug, body, token, headers={**sent, **(headers or {})})

    @contextlib.contextmanager
    def hanging(self, world: World, token: str | None = None) -> Iterator[None]:
        """Make a call that hangs at the system, as a client that goes away when the block ends."""
        meant = {"name": world.tool.name, "arguments": {"do": "hang"}, "_meta": META}
        headers = {
            "Authorization": f"Bearer {token or world.token()}", "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json", "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call",
            "Mcp-Name": world.tool.name,
        }  # fmt: skip
        client = http.client.HTTPConnection(urlsplit(self.base).netloc, timeout=waits.SECONDS)
        with contextlib.closing(client):
            body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": meant})
            client.request("POST", answers.path(world.system.slug), body, headers)
            yield

    def call(self, world: World, token: str | None = None, **arguments: object) -> httpx2.Response:
        """Call the world's tool."""
        name = world.tool.name
        return self.modern(
            world.system.slug, "tools/call", token or world.token(), name=name, arguments=arguments or world.arguments
        )


@contextlib.contextmanager
def gateway(
    name: str = "node-1",
    *,
    more: tuple[str, ...] = (),
    only: Mapping[str, str] | None = None,
    port: int | None = None,
    output: IO[bytes] | None = None,
    program: str = "governance.edge",
    **environment: str,
) -> Iterator[Gateway]:
    """Run one node until the block ends, as production runs it; with `only`, in an environment of nothing else.

    What it prints goes to `output` where that is given.
    """
    port = port or free_port()
    command = ["-m", program, "--port", str(port), "--log-level", "warning", "--stop-seconds", "2", *more]
    child = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**(only or {**os.environ, "DEMO": "1"}), "NODE_ID": name, **environment},
        stdout=output,
        stderr=output,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        waits.until(lambda: is_ready(base, child))
        yield Gateway(base, child)
    finally:
        waits.stop(child)


def is_ready(base: str, child: subprocess.Popen[bytes]) -> bool:
    assert child.poll() is None, f"the gateway ended with {child.returncode}"
    try:
        return httpx2.get(f"{base}/readyz", timeout=waits.A_TRY, verify=TLS).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def has_applied(name: str) -> bool:
    """Return whether a node has heard of each change that is committed."""
    return GatewayNode.objects.get(pk=name).position >= changes.position(None)


def serves(node: Gateway) -> bool:
    """Return whether a node runs and serves, and wait a little for one that is busy."""
    with contextlib.suppress(AssertionError):
        waits.until(lambda: is_ready(node.base, node.child))
        return True
    return False


@dataclass
class World:
    """One agent with a grant for alice on one tool."""

    system: System
    tool: Tool
    entitlement: Entitlement
    agent: Agent
    client: Client
    person: Person
    grant: Grant
    session: Session
    arguments: dict[str, Any] = field(default_factory=lambda: {"timezone": "UTC"})

    def token(self, **changes: object) -> str:
        """Sign a token for this agent acting for alice, and note it as issued."""
        now = clock.now()
        jti = str(uuid.uuid4())
        claims: dict[str, Any] = {
            "iss": addresses.issuer(f"as/{self.system.slug}"),
            "aud": resource(self.system),
            "sub": self.person.login,
            "client_id": self.client.client_id,
            "jti": jti,
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp()) + 300,
            "scope": self.entitlement.scope,
            "sid": str(self.session.pk),
            "act": {"sub": self.agent.slug, "iss": addresses.issuer("idp"), "sub_profile": "ai_agent"},
        }
        claims |= changes
        row = IssuedToken.objects.create(
            jti=jti,
            kind=IssuedToken.Kind.ACCESS_TOKEN,
            system=self.system,
            client=self.client,
            agent=self.agent,
            person=self.person,
            session=self.session,
            scope=claims["scope"],
            issued_at=now,
            expires_at=now + timedelta(seconds=300),
        )
        if self.system.slug != addresses.ALL:
            TokenGrant.objects.create(token=row, grant=self.grant)
        typ = claims.pop("typ", "at+jwt")
        return signing.sign(f"as/{self.system.slug}", {k: v for k, v in claims.items() if v is not None}, typ)

    def token_id(self) -> str:
        """Return the id of a token for this agent, as `token` notes it."""
        claims = self.token().split(".")[1]
        found: str = json.loads(base64.urlsafe_b64decode(claims + "=="))["jti"]
        return found

    def with_another_client(self) -> World:
        """Return the same world by another client of its agent, in a session of its own."""
        client, _ = make.client(self.agent, f"client-{uuid.uuid4().hex[:8]}")
        session = Session.objects.get(pk=self.session.pk)
        session.pk, session.client, session._state.adding = uuid.uuid4(), client, True
        session.save()
        return replace(self, client=client, session=session)

    def with_another_agent(self) -> World:
        """Return another agent with a grant of its own on the same tool, for another person."""
        return replace(on(self.tool, scope=f"{self.system.slug}:{uuid.uuid4().hex}"), arguments=self.arguments)

    def with_personal_agent(self) -> World:
        """Return the same world by a client at which the person has an agent of their own, with access of its own."""
        client = make.personal_client(f"desk-{uuid.uuid4().hex[:8]}")
        agent = personal_agents.connect(client, self.person).agent
        grant = make.grant(agent, self.entitlement, people=[self.person])
        session = Session.objects.get(pk=self.session.pk)
        session.pk, session.client, session.agent, session._state.adding = uuid.uuid4(), client, agent, True
        session.save()
        return replace(self, agent=agent, client=client, grant=grant, session=session)

    def events(self, link: str = "") -> list[Event]:
        """Return the events about this agent, or about `link`, in order."""
        return list(
            Event.objects.filter(links__contains=[link or f"agent:{self.agent.slug}"]).order_by("at", "sequence")
        )

    def calls(self, link: str = "") -> list[str]:
        """Return what the record says of its calls."""
        return [event.action for event in self.events(link) if event.action.startswith("call.")]


def resource(system: System) -> str:
    return answers.resource(system.slug)


def build(
    upstream_url: str,
    secret: str = "upstream-secret",
    *,
    tool: str = "get_current_time",
    schema: Mapping[str, Any] = TIMEZONE,
    denial_shape: str = "tool_result",
) -> World:
    """Make a world of its own behind an upstream."""
    system = make.system(f"time-{uuid.uuid4().hex[:8]}", upstream_url=upstream_url, denial_shape=denial_shape)
    vault.set_secret(system, kind="bearer", value=secret, by=SYSTEM)
    definition = {"name": tool, "description": "Tells the time.", "inputSchema": dict(schema)}
    return on(make.tool(system, tool, definition=definition))


def on(made: Tool, *more: Tool, limits: Mapping[str, Mapping[str, Any]] | None = None, scope: str = "") -> World:
    """Make an agent with a client, a session and a grant for one person on tools that are there."""
    system = made.system
    entitlement = make.entitlement(system, made, *more, scope=scope or f"{system.slug}:read")
    agent = make.agent(f"bot-{uuid.uuid4().hex[:8]}")
    person = make.person(f"alice-{uuid.uuid4().hex[:8]}")
    client, _ = make.client(agent, f"client-{uuid.uuid4().hex[:8]}")
    grant = make.grant(agent, entitlement, people=[person], limits=limits)
    signing.ensure(session_keys.ISSUER)
    now = clock.now()
    session = Session.objects.create(
        agent=agent,
        client=client,
        person=person,
        sign_in_sha256=uuid.uuid4().hex,
        started_at=now,
        last_used_at=now,
        expires_at=now + timedelta(hours=1),
        auth_time=now,
    )
    return World(system, made, entitlement, agent, client, person, grant, session)
