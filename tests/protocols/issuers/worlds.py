"""The world of the corpus: everything has a fixed name, so that an answer can be written down with these names.

`expense-bot` acts for alice at `time` (through the gateway) and `maps` (which takes tokens itself); it has a client of
each method. What is disabled, ended or of another is there beside it, so that most cases change nothing in the world.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import F

from audit import clock
from audit.context import SYSTEM
from entitlements import addresses
from entitlements.agents.models import Agent
from entitlements.catalog import systems
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.clients import aliases, clients
from entitlements.clients.models import Client
from entitlements.grants.models import Grant
from entitlements.keys import jws, public_keys, signing
from entitlements.keys.models import SigningKey
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.entitlements.edge import worlds

STUB, PARTNER, LENIENT = "https://sso.example.org", "https://idp.partner.example", "https://idp.lenient.example"
UNREACHABLE, ENDED = "https://idp.unreachable.example", "https://idp.ended.example"
BACK = "http://127.0.0.1:7777/back"
WHY = "for the corpus"
PUBLIC, SECRET, KEY = Client.Auth.NONE, Client.Auth.CLIENT_SECRET_BASIC, Client.Auth.PRIVATE_KEY_JWT


@dataclass
class World:
    """What stands in the database, by name."""

    agents: dict[str, Agent] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    systems: dict[str, System] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    keys: dict[str, jws.Key] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    """Volatile values, and what is written in their place."""
    times: dict[int, str] = field(default_factory=dict)
    public: dict[str, jws.Key] = field(default_factory=dict)
    """Our issuers' public keys by their identifier: what a signature in an answer is checked with."""

    def resource(self, system: str) -> str:
        """Return the usual resource of a system."""
        return addresses.resources(self.systems[system])[0]


def build() -> World:
    """Make the world, through the product's own actions where it can be."""
    world = World()
    _people(world)
    _systems(world)
    _clients(world)
    _issuers(world)
    _grants(world)
    _keys(world)
    return world


def _people(world: World) -> None:
    for login in ("alice", "bob", "carol", "dave", "sponsor", "owner", "system-owner", "other-sponsor"):
        world.people[login] = make.person(login)
    sponsor, owner = world.people["sponsor"], world.people["owner"]
    world.agents["expense-bot"] = make.agent("expense-bot", sponsor=sponsor, owner=owner)
    world.agents["other-bot"] = make.agent("other-bot", sponsor=world.people["other-sponsor"], owner=owner)
    people.disable(world.people["carol"], by=SYSTEM, reason=WHY)
    # Dave was disabled and came back: what was signed before counts no more.
    Person.objects.filter(login="dave").update(sign_ins_valid_after=clock.now() - timedelta(seconds=30))


def _systems(world: World) -> None:
    owner = world.people["system-owner"]
    for slug in ("time", "git", "shut"):
        world.systems[slug] = make.system(slug, owner=owner)
    world.systems["maps"] = make.system(
        "maps", owner=owner, kind=System.Kind.MCP, upstream_url="https://maps.example/mcp", token_seconds=120
    )
    world.systems["bare"] = make.system("bare", owner=owner)
    System.objects.filter(slug="shut").update(status=System.Status.DISABLED)
    world.systems["mandate"] = systems.ensure_builtin()
    for slug in world.systems:
        if slug != "bare":
            signing.ensure(addresses.issuer_path(slug))
    signing.ensure(addresses.IDP)


def _clients(world: World) -> None:
    """Make a client for each method and state; the name says which."""
    made: list[tuple[str, str, str | None, list[str]]] = [
        ("key-client", KEY, "expense-bot", []),
        ("secret-client", SECRET, "expense-bot", []),
        ("public-client", PUBLIC, "expense-bot", []),
        ("named-client", KEY, "expense-bot", []),
        ("taken-client", SECRET, "expense-bot", []),
        ("off-key-client", KEY, "expense-bot", []),
        ("off-secret-client", SECRET, "expense-bot", []),
        ("off-public-client", PUBLIC, "expense-bot", []),
        ("other-client", SECRET, "other-bot", []),
        ("other-key-client", KEY, "other-bot", []),
        ("script-client", SECRET, None, ["agents:read", "grants:read"]),
        ("script-key-client", KEY, None, ["agents:read"]),
        ("inspector", SECRET, None, ["introspect:time"]),
        ("maps-inspector", SECRET, None, ["introspect:maps"]),
    ]
    for client_id, auth, agent, scopes in made:
        world.keys[client_id] = worlds.new_key(client_id)
        jwks = worlds.key_set(world.keys[client_id]) if auth == KEY else None
        holder = world.agents[agent] if agent else None
        client, secret = make.client(holder, client_id, auth=auth, jwks=jwks, api_scopes=scopes)
        if agent:
            make.rewrite(client, redirect_uris=BACK)
        if client_id.startswith("off-"):
            clients.disable(client, by=SYSTEM, reason=WHY)
        world.clients[client_id], world.secrets[client_id] = client, secret
    aliases.name_at(world.clients["named-client"], world.systems["time"], "agent-4711", by=SYSTEM)
    aliases.name_at(world.clients["other-client"], world.systems["time"], "taken-client", by=SYSTEM)


def _issuers(world: World) -> None:
    made = [
        (STUB, "identity", True, True),
        (PARTNER, "id_jag", True, True),
        (LENIENT, "id_jag", False, True),
        (ENDED, "identity", True, False),
    ]
    for name, purpose, strict, enabled in made:
        world.keys[name] = worlds.new_key(name)
        issuer = TrustedIssuer.objects.create(
            issuer=name,
            purpose=purpose,
            jwks=worlds.key_set(world.keys[name]),
            algorithms=["ES256"],
            strict_single_use=strict,
            enabled=enabled,
        )
        for login in ("alice", "bob", "carol", "dave"):
            people.link_identity(world.people[login], issuer, f"u-{login}", by=SYSTEM)
    world.keys[UNREACHABLE] = worlds.new_key(UNREACHABLE)
    # The address is one that is never called, so no socket is opened.
    TrustedIssuer.objects.create(issuer=UNREACHABLE, purpose="identity", jwks_uri="http://127.0.0.1:1/jwks.json")
    world.keys["stranger"] = worlds.new_key("stranger")


def _grants(world: World) -> None:
    now = clock.now()
    agent, alice = world.agents["expense-bot"], [world.people["alice"]]
    time, maps, git = world.systems["time"], world.systems["maps"], world.systems["git"]
    clock_tool, write_tool = make.tool(time, "get_current_time"), make.tool(time, "set_time")

    def grant(scope: str, *tools: Tool, persons: list[Person], starts_at: datetime | None = None) -> None:
        system = world.systems[scope.partition(":")[0]]
        entitlement = make.entitlement(system, *tools, scope=scope)
        made = make.grant(agent, entitlement, people=persons, starts_at=starts_at)
        world.grants[scope] = made

    grant("time:read", clock_tool, persons=[*alice, world.people["carol"], world.people["dave"]])
    grant("time:write", write_tool, persons=[world.people["bob"]])
    grant("time:solo", clock_tool, persons=[])
    grant("time:brief", clock_tool, persons=alice)
    grant("time:later", clock_tool, persons=alice, starts_at=now + timedelta(hours=1))
    grant("git:read", make.tool(git, "log"), persons=alice)
    grant("maps:read", make.tool(maps, "find"), persons=[*alice, world.people["carol"]])
    grant("maps:solo", make.tool(maps, "route"), persons=[])
    team = make.group(world.people["alice"], slug="team")
    shared = make.entitlement(time, write_tool, scope="time:team")
    world.grants["time:team"] = make.grant(agent, shared, groups=[team])
    make.entitlement(time, write_tool, scope="time:unheld")
    _narrow(world, maps)


def _narrow(world: World, maps: System) -> None:
    """Give less than a scope of `maps` says, which is then no scope that can be issued."""
    tool = make.tool(maps, "plan")
    entitlement: Entitlement = make.entitlement(maps, tool, scope="maps:plan")
    limits = {"plan": {"city": {"one_of": ["Paris"]}}}
    bob = world.people["bob"]
    world.grants["maps:plan"] = make.grant(world.agents["expense-bot"], entitlement, people=[bob], limits=limits)


def _keys(world: World) -> None:
    signing.ensure("receipts")
    hour = timedelta(hours=1)  # ago, so that no moment of a case is taken for it
    SigningKey.objects.update(created_at=F("created_at") - hour, activates_at=F("activates_at") - hour)
    note_keys(world)
    for scope, grant in world.grants.items():
        world.known[str(grant.pk)] = f"<grant {scope}>"


def note_keys(world: World) -> None:
    """Note what our issuers' keys are called, the older first."""
    numbers: Counter[str] = Counter()
    for key in SigningKey.objects.order_by("issuer", "created_at"):
        numbers[key.issuer] += 1
        name = key.issuer if numbers[key.issuer] == 1 else f"{key.issuer} {numbers[key.issuer]}"
        world.known[key.kid] = f"<kid {name}>"
        world.known |= {key.public[member]: f"<{member} {name}>" for member in ("x", "y")}
        if key.activates_at < clock.now() - timedelta(minutes=30):
            world.times[int(key.activates_at.timestamp())] = "<when keys were made>"
        world.public[key.kid] = public_keys.read(key.public)
