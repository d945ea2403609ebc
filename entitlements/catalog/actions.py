"""What people and programs do with systems, tools and entitlements: each action declared once, for API and console."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from audit.context import Principal
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api.actions import NEW, Action, Performed, Sentence, Subject, caller
from entitlements.api.fields import StopInputSerializer
from entitlements.catalog import class_proposals, discovery, entitlements, systems, tools
from entitlements.catalog.models import System, Tool
from entitlements.errors import DomainError
from entitlements.hooks import Hook
from entitlements.proposals import proposals
from entitlements.rest_apis import rest_apis
from entitlements.secrets import vault
from entitlements.secrets.kinds import CredentialMalformed
from entitlements.secrets.models import Secret
from entitlements.stdio_commands import systems as stdio_systems
from entitlements.upstream import reach, upstream
from entitlements.vendors import vendors

BEFORE_CLASSING: Final[Hook[[Caller, tools.Approval, str], None]] = Hook("class a tool", "combinations")
"""What refuses to class a tool before the caller, who says what they accept, knows what follows."""


@dataclass(frozen=True, slots=True)
class ToolDiscovery:
    """How many tools a system offered, and what became of them."""

    offered: int
    found: discovery.Discovery


def _discover(system: System, *, by: Principal) -> ToolDiscovery:
    """Ask the system for its tools; a list that breaks off is kept that far. A refusal says at which stage."""
    try:
        if system.kind == System.Kind.HTTP:
            return ToolDiscovery(*rest_apis.discover(system, by=by))
        offered = asyncio.run(stdio_systems.discover(system))
    except DomainError as refusal:
        if isinstance(refusal, upstream.PartialList):
            discovery.record_discovery(system, refusal.listed, by=by, complete=False)
        refusal.detail["stage"] = reach.stage(refusal).value
        raise
    return ToolDiscovery(len(offered), discovery.record_discovery(system, offered, by=by))


NO_CREDENTIAL: Final = "none"
"""The kind of a system that is called without a credential."""


def _set_secret(system: System, *, kind: str, by: Principal, value: str = "", **given: Any) -> Secret | None:  # noqa: ANN401 - as each takes them
    """Store the credential of a system, or delete it where it is of the kind `none`. Raises CredentialMalformed."""
    if kind != NO_CREDENTIAL:
        return vault.set_secret(system, kind=kind, value=value, by=by, **given)
    if value or given.get("settings"):
        raise CredentialMalformed("A system that is called without a credential has no secret.", field="value")
    return vault.remove_secret(system, by=by)


def _register(slug: str, *, kind: str, by: Principal, **values: Any) -> System:  # noqa: ANN401 - as each takes them
    """Register a system with what its kind has: a vendor, a document or a command. Raises as each does."""
    if kind == System.Kind.KNOWN:
        return systems.register_known(slug, by=by, **values)
    if kind == System.Kind.MCP:
        return vendors.register(slug, by=by, **values)
    if kind == System.Kind.HTTP:
        return rest_apis.register(slug, by=by, **values)
    if kind == System.Kind.STDIO:
        return stdio_systems.register(slug, by=by, **values)
    return systems.register_system(slug, kind=kind, by=by, **values)


def approve(
    _tool: Tool, *, approval: tools.Approval, accept: str, reason: str, by: Caller, among_others: bool = False
) -> Tool:
    """Approve a tool, after the violations that this causes are accepted.

    Raises what the looks raise, and catalog.approve_tool or, of many, catalog.approve_tools.
    """
    BEFORE_CLASSING.ask(by, tools.served(approval), accept)
    if among_others:
        return tools.approve_tools([approval], by=by.principal, reason=reason)[0]
    return tools.approve_tool(approval, by=by.principal, reason=reason)


def _approved(performed: Performed) -> Sentence:
    """Say that a tool is approved, and whether its lower class waits for a second person."""
    said = _("%(name)s is approved, exactly as you read it.")
    if proposals.waiting(class_proposals.KIND, [class_proposals.subject(performed.result)]):
        said = _("%(name)s is approved. Another person confirms the lower class; the higher one counts until then.")
    return said % {"name": performed.result.name}


def _enabled(done: Performed) -> str:
    if done.result.status == System.Status.ACTIVE:
        return _("%(name)s is restored.") % {"name": done.result.name}
    return _("%(name)s stays closed until a second person restores it.") % {"name": done.result.name}


SYSTEM = Subject(visibility.systems, lambda system: [f"system:{system.slug}"], ("slug",))
TOOL = Subject(
    visibility.tools,
    lambda tool: [f"tool:{tool.system.slug}/{tool.name}", f"system:{tool.system.slug}"],
    ("system__slug", "name"),
)
ENTITLEMENT = Subject(
    visibility.entitlements,
    lambda entitlement: [f"entitlement:{entitlement.scope}", f"system:{entitlement.system.slug}"],
    ("scope",),
)

REGISTER = Action("systems", NEW, _register, input=None, done=_("Registered. Next, list its tools."))
EDIT = Action("system", SYSTEM, systems.edit_system, input=None, method="PATCH", done=_("Saved."))
DISCOVER = Action("system-discover", SYSTEM, _discover, input=None)
DISABLE = Action("system-disable", SYSTEM, systems.disable_system, input=StopInputSerializer, stops="system")
ENABLE = Action("system-enable", SYSTEM, systems.enable_system, done=_enabled)
SET_SECRET = Action(
    "system-secret", SYSTEM, _set_secret, input=None, method="PUT", done=_("Stored. It is never shown again.")
)

APPROVE_TOOL = Action("tool-approve", TOOL, approve, input=None, by=caller, done=_approved)
QUARANTINE_TOOL = Action(
    "tool-quarantine",
    TOOL,
    tools.quarantine,
    input=StopInputSerializer,
    stops="tool",
    done=_("%(name)s is held for review."),
)
DISABLE_TOOL = Action(
    "tool-disable", TOOL, tools.disable_tool, input=StopInputSerializer, stops="tool", done=_("%(name)s is suspended.")
)
ENABLE_TOOL = Action(
    "tool-enable", TOOL, tools.enable_tool, done=_("The tool is restored. If it changed, it is held for review.")
)

MAKE_ENTITLEMENT = Action(
    "entitlements", NEW, entitlements.make_entitlement, input=None, done=_("Created. People can request it now.")
)
EDIT_ENTITLEMENT = Action(
    "entitlement", ENTITLEMENT, entitlements.edit_entitlement, input=None, method="PATCH", done=_("Saved.")
)
