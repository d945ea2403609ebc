"""What the demo tells the outside: addresses, people, clients, agents and systems, as `var/demo.json` holds them.

The file holds passwords, keys and database addresses of a world that lives for one run, so it is for its owner alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal, TypedDict


class Person(TypedDict):
    """Someone who signs in to the console."""

    password: str
    roles: list[str]
    email: str
    api_token: str


class OAuthClient(TypedDict):
    """How an agent's client proves who it is; `private_jwk` is empty for a client with a secret."""

    agent: str
    auth: Literal["private_key_jwt", "client_secret_basic", "none"]
    private_jwk: dict[str, str]
    secret: str | None


class IdentityProviders(TypedDict):
    """Our identity-side issuer, and the stub that stands for the company's."""

    issuer: str
    stub_issuer: str
    stub_mint_url: str


class System(TypedDict):
    """What agents reach: its token issuer, its resource identifier, and where the gateway forwards to."""

    kind: str
    issuer: str
    resource: str
    upstream: str


class Agent(TypedDict):
    """An agent, who answers for it, and its client."""

    sponsor: str
    owner: str
    client_id: str


class World(TypedDict):
    """The whole file."""

    console: str
    gateway: str
    people: dict[str, Person]
    clients: dict[str, OAuthClient]
    idp: IdentityProviders
    systems: dict[str, System]
    agents: dict[str, Agent]
    database_url: str
    owner_database_url: str
    redis_url: str


def system(console: str, gateway: str, slug: str, upstream: str, kind: str = "mcp_gateway") -> System:
    """Return the fixed addresses of one system."""
    return System(kind=kind, issuer=f"{console}/as/{slug}", resource=f"{gateway}/gw/{slug}/mcp", upstream=upstream)


def local_server(console: str, gateway: str, slug: str, command: str) -> System:
    """Return the fixed addresses of a system that the gateway starts by a command."""
    return system(console, gateway, slug, f"stdio:{command}", "stdio")


def write(world: World, path: Path) -> None:
    """Write the file, readable by its owner alone, whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(world, file, indent=2)
        file.write("\n")
    fresh.replace(path)


def read(path: Path) -> World:
    """Return what the file holds."""
    world: World = json.loads(path.read_text())
    return world
