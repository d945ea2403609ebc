"""Files that bring a company's programs to the MCP servers of the catalog. No secret stands in them.

Sources: https://code.claude.com/docs/en/managed-mcp,
https://docs.github.com/en/copilot/reference/enterprise-administrators/enterprise-managed-settings,
https://code.visualstudio.com/docs/enterprise/policies (looked up on 2026-11-28).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from .recipes import Text


@dataclass(frozen=True, slots=True)
class McpServer:
    """One MCP server: the short name that programs show, and its address."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Roll:
    """What the files are made from: the servers, the client that Claude Code is, and where the registry is.

    `every` is the one server that has the tools of all systems, with one sign-in.
    """

    every: McpServer
    servers: Sequence[McpServer]
    client: str = ""
    registry: str = ""


def _servers(roll: Roll) -> Mapping[str, Any]:
    oauth = {"oauth": {"clientId": roll.client}} if roll.client else {}
    return {"mcpServers": {roll.every.name: {"type": "http", "url": roll.every.url, **oauth}}}


def _allowed(roll: Roll) -> Mapping[str, Any]:
    return {"allowedMcpServers": [{"serverUrl": each.url} for each in (roll.every, *roll.servers)]}


def _managed(roll: Roll) -> Mapping[str, Any]:
    return {"allowManagedMcpServersOnly": True, **_allowed(roll)}


def _policy(roll: Roll) -> Mapping[str, Any]:
    return {"McpGalleryServiceUrl": roll.registry, "ChatMCP": "registry"}


@dataclass(frozen=True, slots=True)
class RolloutFile:
    """One file: its name in a download, what it does, the paths that it goes to, or how else, and what it holds."""

    key: str
    program: Text
    does: Text
    paths: Sequence[str]
    or_else: Text
    make: Callable[[Roll], Mapping[str, Any]]
    documentation: str
    needs_client: bool = False
    needs_registry: bool = False

    def text(self, roll: Roll) -> str:
        """Return the file."""
        return json.dumps(self.make(roll), indent=2) + "\n"


FILES: Final[tuple[RolloutFile, ...]] = (
    RolloutFile(
        "managed-mcp.json",
        _("Claude Code: one server for all systems"),
        _("Each person gets this server and can add no others. It has the tools of every system, with one sign-in."),
        (
            "/Library/Application Support/ClaudeCode/managed-mcp.json",
            "/etc/claude-code/managed-mcp.json",
            r"C:\Program Files\ClaudeCode\managed-mcp.json",
        ),
        "",
        _servers,
        "https://code.claude.com/docs/en/managed-mcp",
        needs_client=True,
    ),
    RolloutFile(
        "claude-code-managed-settings.json",
        _("Claude Code: an allowlist instead"),
        _("People add the servers that they want, of these alone. Merge it into the managed settings that you have."),
        (
            "/Library/Application Support/ClaudeCode/managed-settings.json",
            "/etc/claude-code/managed-settings.json",
            r"C:\Program Files\ClaudeCode\managed-settings.json",
        ),
        "",
        _managed,
        "https://code.claude.com/docs/en/managed-mcp",
    ),
    RolloutFile(
        "copilot-managed-settings.json",
        _("GitHub Copilot: managed settings"),
        _("Copilot in VS Code, JetBrains and its command line starts these servers alone, by address."),
        (),
        _("as managed-settings.json into the enterprise's repository .github-private, or by device management"),
        _allowed,
        "https://docs.github.com/en/copilot/how-tos/administer-copilot/manage-mcp-usage/configure-enterprise-allowlist",
    ),
    RolloutFile(
        "vs-code-policy.json",
        _("VS Code: policy for the registry"),
        _("VS Code shows the servers of the registry and starts no others. It compares their names, not addresses."),
        ("/etc/vscode/policy.json",),
        _("on Windows and macOS the same two policies by device management"),
        _policy,
        "https://code.visualstudio.com/docs/enterprise/policies",
        needs_registry=True,
    ),
)
