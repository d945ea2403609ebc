"""What waits at a system: tools to look at one by one, those to approve at once, and the next act of setting it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from entitlements.access import visible_collisions
from entitlements.access.caller import Caller
from entitlements.catalog import move
from entitlements.catalog import tools as tools_actions
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.definitions import classes
from entitlements.grants.models import GrantLine
from entitlements.name_collisions import collisions
from entitlements.name_collisions.collisions import Collision
from entitlements.upstream.reach import Stage
from governance.console import doors
from governance.sod import queries as sod_queries

from . import systems

MOST: Final = 25
"""How many tools are shown to be looked at in full; the rest wait in the list."""

FIXES: Final = {
    Stage.ADDRESS: (
        _("Mandate does not connect to this address."),
        _("Use https:// without a user name or a fragment."),
    ),
    Stage.NAME: (
        _("The host name was not found."),
        _("Check its spelling, and that public DNS knows it."),
    ),
    Stage.PRIVATE: (
        _("The address is in a private network."),
        _("Propose the network of the system: another person confirms it. Or use a public name."),
    ),
    Stage.CONNECTING: (
        _("No server answers at the address."),
        _("Check the port, that the server runs, and the firewall."),
    ),
    Stage.TLS: (
        _("The TLS connection failed."),
        _("Check that the server supports https and that its certificate is valid for this name."),
    ),
    Stage.TIMEOUT: (
        _("The server did not answer in time."),
        _("Check that the server is not overloaded, then try again."),
    ),
    Stage.SIGN_IN: (
        _("The server refused the sign-in (401 or 403)."),
        _("Store a secret that it accepts, or check what the secret is allowed to see."),
    ),
    Stage.TOKEN_ENDPOINT: (
        _("The token endpoint gave no access token."),
        _("Check the issuer or the token endpoint of its credential, and that it answers with a bearer token."),
    ),
    Stage.TOKEN_REFUSED: (
        _("The token endpoint refused the credential."),
        _("Check the client, its secret or key, and the scope. The log of the token endpoint says what it refused."),
    ),
    Stage.TOO_LARGE: (
        _("The answer is too large."),
        _("It lists more tools than Mandate reads. Split it into several systems."),
    ),
    Stage.NOT_MCP: (
        _("The server does not speak MCP."),
        _("Give the address of the MCP endpoint itself, often ending in /mcp; redirects are not followed."),
    ),
    Stage.NOT_OPENAPI: (
        _("The document cannot be read."),
        _("It must be OpenAPI 3.0 or 3.1, in JSON or YAML; redirects are not followed."),
    ),
}
"""What went wrong at each stage, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of setting a system up. The first that is not done is the next act."""

    name: Any
    address: str = ""
    act: Any = ""
    done: bool = False
    posts: bool = False


def steps(caller: Caller, system: System, tools: Sequence[Tool]) -> list[Step]:
    """Return the steps from an address to something that can be asked for; none once that is there, or it is ours."""
    may = doors.may(caller, "system-discover", system)
    is_held = any(vars(tool).get("held") for tool in tools)
    bundled = is_held or Entitlement.objects.filter(system=system).exists()
    is_discovered = system.discovered_at is not None
    if system.kind == System.Kind.BUILTIN or not may or (bundled and is_discovered):
        return []
    base = f"/systems/{system.slug}/"
    approved = any(tool.state == Tool.State.APPROVED for tool in tools)
    waiting = any(tool.state in systems.WAITING for tool in tools)
    return [
        Step(_("Registered with its address and owner"), f"{base}edit/", _("Change"), done=True),
        Step(
            _("Tools listed by the server"),
            f"{base}discover/",
            _("Test and list tools"),
            is_discovered,
            posts=True,
        ),
        Step(_("Tools approved"), "#h-waiting" if waiting else "", _("Review tools"), approved),
        Step(
            _("Entitlement to request"), f"{base}entitlements/add/" if approved else "", _("Add entitlement"), bundled
        ),
    ]


@dataclass(frozen=True, slots=True)
class UnchangedTools:
    """Tools quarantined only by a move to another address: to approve at once, and with an undecided label."""

    tools: list[Tool]
    undecided: list[Tool]


def unchanged(system: System, tools: Sequence[Tool]) -> UnchangedTools:
    """Return tools quarantined only by a move to another address, which offers them exactly as approved."""
    same = [tool for tool in tools if tool.state == Tool.State.QUARANTINED and tool.approved_id == tool.seen_id]
    moved = move.unchanged(system) if same else []
    undecided = [tool for tool in moved if tools_actions.undecided(tool, {})]
    return UnchangedTools([tool for tool in moved if tool not in undecided], undecided)


@dataclass(frozen=True, slots=True)
class EasyApprovals:
    """The tools that were never approved, read, and have low risk: to approve at once, or alone for a reason."""

    approvals: list[tools_actions.Approval]
    undecided: list[Tool]
    colliding: list[Tool]


def easy(tools: Sequence[Tool]) -> EasyApprovals:
    """Find what can be approved at once, as the rules of today class it; stored suggestions may be of older rules."""
    result = EasyApprovals([], [], [])
    met = collisions.shadowing(tools)
    for tool in tools:
        if (tool.state, tool.action, tool.risk) != ("pending", "read", "low") or not tool.sentence or tool.seen is None:
            continue
        now = classes.suggest(tool.seen.definition)
        if (now.action, now.risk) != ("read", "low"):
            continue
        if tool.pk in met:
            result.colliding.append(tool)
        elif None in now.flows.values():
            result.undecided.append(tool)
        else:
            classification = (tool.sentence, tool.action, tool.risk, now.data_class, now.flows)
            result.approvals.append(tools_actions.Approval(tool, tool.seen.sha256, *classification))
    return result


@dataclass(frozen=True, slots=True)
class WaitingTool:
    """A tool that waits for a review, with what the reviewer needs to see."""

    tool: Tool
    words: dict[str, Any]
    data: dict[str, str]
    may: bool = True
    collisions: Sequence[Collision] = ()

    @property
    def changed(self) -> bool:
        """Whether it was approved before, and is another now."""
        return self.tool.approved_id is not None


def drifted(caller: Caller, tools: Sequence[Tool], data: dict[str, str]) -> list[WaitingTool]:
    """Return tools of several systems whose definition changed, each with whether the caller may say what becomes."""
    systems.count_holders(tools, GrantLine.objects.all())
    named, met = (data.get("system"), data.get("tool")), visible_collisions.find(caller, tools)
    rows = ((tool, data if named == (tool.system.slug, tool.name) else {}) for tool in tools)
    return [_waiting(tool, form, met.get(tool.pk, ()), doors.may(caller, "tool-approve", tool)) for tool, form in rows]


def waiting(caller: Caller, tools: Sequence[Tool], data: dict[str, str]) -> list[WaitingTool]:
    """Return the first of the tools that wait, changed ones before new; `data` is a form about one of them."""
    rows = [tool for tool in tools if tool.state in systems.WAITING and tool.seen][:MOST]
    met = visible_collisions.find(caller, rows)
    return [_waiting(tool, data if data.get("tool") == tool.name else {}, met.get(tool.pk, ())) for tool in rows]


def _waiting(tool: Tool, data: dict[str, str], met: Sequence[Collision], may: bool = True) -> WaitingTool:  # noqa: FBT001, FBT002 - as in the row
    words = systems.words_of(tool)
    words |= {"flows": sod_queries.refilled(words["flows"], data)}
    return WaitingTool(tool, words, data, may, met)
