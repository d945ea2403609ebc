"""The demo's client as a program that the conformance suite starts: signs in by EMA at the server that it is given.

`MCP_CONFORMANCE_CONTEXT` holds what the suite would have configured a client with; the last argument is the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import httpx2

from scripts.demo.story.agent_client import AgentClient, Credentials
from tests import waits


class ConfiguredClient(AgentClient):
    """The demo's client with the ID token that the suite gives it in place of a sign-in."""

    def __init__(self, world: dict[str, Any], credentials: Credentials, id_token: str) -> None:
        super().__init__(world, credentials)
        self.id_token = id_token

    async def sign_in(self, person: str, **claims: object) -> str:  # noqa: ARG002 - as the client says it
        """Return the ID token."""
        return self.id_token


async def main(server: str, context: dict[str, str]) -> None:
    """List the tools of the server, and call one where there is any."""
    origin, _, path = server.partition("/mcp")
    metadata = httpx2.get(f"{origin}/.well-known/oauth-protected-resource/mcp{path}", timeout=waits.SECONDS).json()
    world = {
        "idp": {"issuer": context["idp_token_endpoint"].removesuffix("/token")},
        "systems": {"server": {"issuer": metadata["authorization_servers"][0], "resource": server}},
    }
    credentials = Credentials(context["client_id"], {"auth": "client_secret_basic", "secret": context["client_secret"]})
    client = ConfiguredClient(world, credentials, context["idp_id_token"])
    for tool in await client.list_tools("server", person="demo-user@example.com", era="auto"):
        seen = await client.call("server", tool["name"], {}, person="demo-user@example.com", era="auto")
        assert seen.allowed, seen.text


if __name__ == "__main__":
    asyncio.run(main(sys.argv[-1], json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"])))
