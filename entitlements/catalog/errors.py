"""Why a change of the catalogue is refused."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class SystemSlugTaken(DomainError):
    """The system's name is taken; names are never given twice."""

    code, status = "system_slug_taken", HTTPStatus.CONFLICT


class SystemMalformed(DomainError):
    """A system needs a name in lower case, an owner who is active, and (unless it is ours) an address."""

    code, status = "system_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class SystemKindNotServed(DomainError):
    """Systems of this kind are not served yet, so nothing could be called there: register an mcp_gateway."""

    code, status = "system_kind_not_served", HTTPStatus.UNPROCESSABLE_ENTITY


class BuiltIn(DomainError):
    """Mandate itself cannot be changed in the catalogue."""

    code, status = "system_built_in", HTTPStatus.CONFLICT


class DefinitionMoved(DomainError):
    """The tool's definition is not the one that you reviewed; look at it again."""

    code, status = "tool_definition_moved", HTTPStatus.CONFLICT


class ToolInWrongState(DomainError):
    """The tool is not in a state that allows this."""

    code, status = "tool_in_wrong_state", HTTPStatus.CONFLICT


class ToolMalformed(DomainError):
    """A tool needs a sentence in plain words, a known action and a known risk."""

    code, status = "tool_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class FlowsUndecided(DomainError):
    """The tool has undecided flow labels, so it is not approved among others: decide each, or approve it alone.

    The labels: reads private data, returns what strangers wrote, can carry data outside.
    """

    code, status = "tool_flows_undecided", HTTPStatus.UNPROCESSABLE_ENTITY


class ScopeTaken(DomainError):
    """The scope is taken; a scope never changes its meaning."""

    code, status = "scope_taken", HTTPStatus.CONFLICT


class EntitlementMalformed(DomainError):
    """An entitlement bundles tools of its own system, at least one, for some time."""

    code, status = "entitlement_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class EntitlementInUse(DomainError):
    """Open grants hold what would be taken away or tightened; end or change them first."""

    code, status = "entitlement_in_use", HTTPStatus.CONFLICT
