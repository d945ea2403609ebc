"""Why a change of the catalogue is refused."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class SystemSlugTaken(DomainError):
    """The system name is taken. Choose another: a name is never given twice."""

    code, status = "system_slug_taken", HTTPStatus.CONFLICT


class SystemMalformed(DomainError):
    """A system needs a name in lower case, an active owner and, unless it is built in, an address."""

    code, status = "system_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class SystemKindNotServed(DomainError):
    """Mandate does not serve systems of this kind yet. Register an mcp_gateway."""

    code, status = "system_kind_not_served", HTTPStatus.UNPROCESSABLE_ENTITY


class BuiltIn(DomainError):
    """The system is Mandate itself and cannot be changed in the catalogue."""

    code, status = "system_built_in", HTTPStatus.CONFLICT


class DefinitionMoved(DomainError):
    """The tool's definition is not the one that you reviewed. Review it again."""

    code, status = "tool_definition_moved", HTTPStatus.CONFLICT


class ToolNameCollides(DomainError):
    """An approved tool has this name, or one that looks like it. Read both, and approve the tool by itself."""

    code, status = "tool_name_collides", HTTPStatus.CONFLICT


class ToolInWrongState(DomainError):
    """The tool's state does not allow this. Read the tool to see its state."""

    code, status = "tool_in_wrong_state", HTTPStatus.CONFLICT


class ToolMalformed(DomainError):
    """A tool needs a sentence in plain words, a known action and a known risk level."""

    code, status = "tool_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class ToolNameTaken(DomainError):
    """The name is that of Mandate's own tool, by which clients request access. Have the system rename its tool."""

    code, status = "tool_name_taken", HTTPStatus.CONFLICT


class FlowsUndecided(DomainError):
    """The tool has undecided flow labels, so it cannot be approved among others. Decide each, or approve it alone.

    The labels: reads private data, returns what strangers wrote, can carry data outside.
    """

    code, status = "tool_flows_undecided", HTTPStatus.UNPROCESSABLE_ENTITY


class ScopeTaken(DomainError):
    """The scope is taken. Choose another: a scope never changes its meaning."""

    code, status = "scope_taken", HTTPStatus.CONFLICT


class EntitlementMalformed(DomainError):
    """An entitlement needs at least one tool, all of its own system, and a longest time."""

    code, status = "entitlement_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class EntitlementInUse(DomainError):
    """Open grants hold what you would take away or tighten. End or change them first."""

    code, status = "entitlement_in_use", HTTPStatus.CONFLICT
