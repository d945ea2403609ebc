"""Which rows of the API each page of the back office asks that acts on rows, by the name of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ACTS: Final[Mapping[str, tuple[str, ...]]] = {
    "governance_accessrequest": ("request-approve", "request-deny"),
    "governance_campaign": ("campaign-activate", "campaign-close"),
    "entitlements_grant": ("grant-narrow", "grant-suspend", "grant-restore", "grant-revoke"),
    "entitlements_agent": ("agent-suspend", "agent-restore"),
    "entitlements_client": ("client-disable", "client-enable"),
    "entitlements_system": ("system-disable", "system-enable"),
    "entitlements_tool": ("tool-disable", "tool-enable"),
}
