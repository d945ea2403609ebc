"""The verbs on the catalogue: systems, their tools with pinned definitions, and the entitlements that bundle them."""

from .bundles import edit_entitlement, make_entitlement
from .errors import FlowsUndecided
from .moving import approve_unchanged
from .seen import Seen, changed, record_seen
from .systems import disable_system, edit_system, enable_system, ensure_builtin, register_system
from .tools import Approval, approve_tool, approve_tools, disable_tool, enable_tool, quarantine, undecided

__all__ = [
    "Approval",
    "FlowsUndecided",
    "Seen",
    "approve_tool",
    "approve_tools",
    "approve_unchanged",
    "changed",
    "disable_system",
    "disable_tool",
    "edit_entitlement",
    "edit_system",
    "enable_system",
    "enable_tool",
    "ensure_builtin",
    "make_entitlement",
    "quarantine",
    "record_seen",
    "register_system",
    "undecided",
]
