"""The navigation of the console: five groups, each entry shown to those whom its page lets in.

An entry is current for its own page and for what stands below it: `below` names the first parts of those addresses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from entitlements.access.caller import Caller
from entitlements.api import permissions

from . import matrix


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: the name of its page, its word, its icon, which addresses stand below it, and what is counted."""

    name: str
    label: Any
    icon: str
    below: tuple[str, ...] = ()
    count: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Some entries under one heading, open or folded."""

    key: str
    label: Any
    entries: tuple[Entry, ...]
    open: bool = False


GROUPS: Final = (
    Group(
        "work",
        _("Work"),
        (
            Entry("home", _("Home"), "house", ("",)),
            Entry("inbox", _("Inbox"), "inbox", ("inbox",), "inbox_count"),
            Entry("request-list", _("Requests"), "file-check", ("requests",), "waiting_count"),
            Entry(
                "review-list",
                _("Access reviews"),
                "clipboard-check",
                ("reviews", "review-questions", "event-triggered-reviews"),
                "review_count",
            ),
            Entry("spot-checks", _("Spot checks"), "eye", ("spot-checks",)),
            Entry("right-sizing-page", _("Right-sizing"), "target", ("right-sizing",)),
            Entry("emergency-list", _("Break-glass access"), "siren", ("break-glass",)),
            Entry("delegations", _("Out of office"), "plane", ("settings/delegations",)),
        ),
    ),
    Group(
        "inventory",
        _("Inventory"),
        (
            Entry("agent-list", _("Agents"), "bot", ("agents", "proposals", "client-credentials", "workload-rules")),
            Entry("grant-list", _("Access"), "key-round", ("grants",)),
            Entry("session-list", _("Sessions"), "monitor", ("sessions",)),
            Entry("blast-radius", _("Blast radius"), "shield-alert", ("blast-radius",)),
            Entry("system-list", _("Systems and tools"), "server", ("systems", "tools", "tool-changes")),
            Entry("catalogue", _("Entitlement catalog"), "library", ("entitlements",)),
            Entry("people-list", _("People"), "users", ("people",)),
            Entry("group-list", _("Groups"), "building-2", ("groups",)),
            Entry("token-health", _("Token health"), "ticket", ("token-health",)),
            Entry("coverage-map", _("Coverage map"), "map", ("coverage",)),
            Entry("adoption-list", _("Onboarding"), "log-in", ("onboarding",)),
            Entry(
                "my-agents",
                _("Agents that act for me"),
                "user-check",
                ("my-agents", "connections", "connected-accounts"),
            ),
        ),
    ),
    Group(
        "policy",
        _("Policy"),
        (
            Entry("approval-settings", _("Approval policies"), "stamp", ("settings/approvals",)),
            Entry("guardrail-list", _("Guardrails"), "shield", ("guardrails",)),
            Entry("budget-list", _("Budgets"), "chart-line", ("budgets",)),
            Entry("rule-list", _("SoD policies"), "scale", ("sod-policies",)),
            Entry("risk-signals", _("Risk signals"), "triangle-alert", ("risk-signals", "settings/signal-responses")),
            Entry("decoy-list", _("Decoys"), "triangle-alert", ("decoys",)),
            Entry("change-proposal-list", _("Proposed changes"), "user-check", ("change-proposals",)),
            Entry("exception-list", _("Exceptions"), "flag", ("exceptions",)),
            Entry("policy-domain-list", _("Policy domains"), "file-text", ("policy-domains",)),
            Entry("agent-call-list", _("Agents calling agents"), "waypoints", ("agent-calls", "delegations")),
            Entry("agent-kinds-page", _("Agent types"), "shapes", ("settings/agents",)),
            Entry("session-policies-page", _("Session policies"), "clock", ("settings/session-policies",)),
            Entry("credential-policy-page", _("Credential policy"), "key", ("settings/credential-policy",)),
            Entry("trusted-issuers-page", _("Trusted issuers"), "landmark", ("settings/trusted-issuers",)),
            Entry("client-settings", _("Client documents"), "file-text", ("settings/clients",)),
        ),
    ),
    Group(
        "audit",
        _("Audit"),
        (
            Entry("audit", _("Audit log"), "scroll-text", ("audit", "decisions/why")),
            Entry("who-can", _("Who can call"), "user-check", ("decisions/who-can",)),
            Entry("what-if-list", _("What if"), "waypoints", ("decisions/what-if",)),
            Entry("stops", _("Revocations"), "octagon-x", ("stop",)),
            Entry("posture", _("Posture report"), "chart-line", ("posture",)),
        ),
    ),
    Group(
        "administration",
        _("Administration"),
        (
            Entry("setup", _("Set-up"), "sliders-horizontal", ("settings/setup",)),
            Entry("connect", _("Connect a client"), "terminal", ("connect",)),
            Entry("source-list", _("People sources"), "folder-key", ("settings/people-sources",)),
            Entry("discovery-list", _("Discovery sources"), "search", ("settings/discovery",)),
            Entry("role-map", _("Group mapping"), "fingerprint", ("settings/role-map",)),
            Entry("stdio-commands-page", _("Local servers"), "monitor", ("settings/local-servers",)),
            Entry("ticket-settings", _("Ticket references"), "ticket", ("settings/tickets",)),
            Entry("webhook-list", _("Webhooks"), "webhook", ("settings/notices/webhooks",)),
            Entry("event-streams-page", _("Event streams"), "waypoints", ("settings/event-streams",)),
            Entry("chat-settings", _("Chat"), "message-square", ("settings/chat",)),
            Entry("delivery-list", _("Deliveries"), "mail", ("settings/deliveries",)),
            Entry("settings", _("Settings"), "settings", ("settings", "mfa")),
        ),
    ),
)
_OPEN: Final = frozenset({"work", "inventory"})
"""Groups that are open wherever the reader is."""


def shown(caller: Caller, section: str) -> list[Group]:
    """Return the groups with the entries whose pages let the person in; `section` names the entry that is current."""
    groups = []
    for group in GROUPS:
        entries = tuple(entry for entry in group.entries if _lets_in(caller, entry))
        is_open = group.key in _OPEN or any(entry.name == section for entry in entries)
        groups.append(replace(group, entries=entries, open=is_open))
    return [group for group in groups if group.entries]


def _lets_in(caller: Caller, entry: Entry) -> bool:
    return permissions.lets_in(matrix.find(entry.name, "GET").row, caller)


def current(path: str) -> str:
    """Return the name of the entry below which an address stands: that of the longest match; empty for none."""
    address = path.strip("/")
    fits = [
        (len(below), entry.name)
        for group in GROUPS
        for entry in group.entries
        for below in entry.below
        if address == below or (below and address.startswith(f"{below}/"))
    ]
    return max(fits)[1] if fits else ""
