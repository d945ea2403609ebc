"""The navigation of the console: five groups of entries. An entry is a door to a few pages, which are its tabs.

A page is current for itself and for what stands below it: `below` names the first parts of those addresses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api import permissions
from governance.reviews.items import visibility as review_items

from . import matrix


@dataclass(frozen=True, slots=True)
class Page:
    """The name of a page, its word, which addresses stand below it, and whether the reader is there."""

    name: str
    label: Any
    below: tuple[str, ...]
    current: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its word, its icon, its pages, and what is counted. It leads to the first page."""

    label: Any
    icon: str
    pages: tuple[Page, ...]
    count: str = ""
    for_all: bool = False
    """Whether it is of use to a person who has no role, no agent, no system and nothing to review."""
    current: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Some entries under one heading, open or folded."""

    key: str
    label: Any
    entries: tuple[Entry, ...]
    open: bool = True


def _door(name: str, label: Any, icon: str, *below: str, count: str = "", for_all: bool = False) -> Entry:  # noqa: ANN401 - a text, translated later
    """Return an entry of one page."""
    return Entry(label, icon, (Page(name, label, below),), count, for_all)


GROUPS: Final = (
    Group(
        "work",
        _("Work"),
        (
            Entry(
                _("Home"),
                "house",
                (
                    Page("home", _("Home"), ("",)),
                    Page("inbox", _("Inbox"), ("inbox",)),
                    Page("delegations", _("Out of office"), ("settings/delegations",)),
                ),
                count="inbox_count",
                for_all=True,
            ),
            _door("request-list", _("Requests"), "file-check", "requests", count="waiting_count", for_all=True),
            Entry(
                _("Access reviews"),
                "clipboard-check",
                (
                    Page(
                        "review-list",
                        _("Access reviews"),
                        ("reviews", "review-questions"),
                    ),
                    Page("event-triggered-list", _("Event-triggered reviews"), ("event-triggered-reviews",)),
                    Page("spot-checks", _("Spot checks"), ("spot-checks",)),
                    Page("right-sizing-page", _("Right-sizing"), ("right-sizing",)),
                ),
                count="review_count",
            ),
            _door("emergency-list", _("Break-glass access"), "siren", "break-glass"),
            Entry(
                _("My agents"),
                "user-check",
                (
                    Page("my-agents", _("Agents that act for me"), ("my-agents",)),
                    Page("my-connections", _("My connections"), ("connections", "connected-accounts")),
                ),
                for_all=True,
            ),
            _door("connect", _("Connect a client"), "terminal", "connect", for_all=True),
        ),
    ),
    Group(
        "inventory",
        _("Inventory"),
        (
            Entry(
                _("Agents"),
                "bot",
                (
                    Page("agent-list", _("Agents"), ("agents", "proposals", "client-credentials", "workload-rules")),
                    Page("session-list", _("Sessions"), ("sessions",)),
                    Page("blast-radius", _("Blast radius"), ("blast-radius",)),
                    Page("adoption-list", _("Onboarding"), ("onboarding",)),
                    Page("agent-kinds-page", _("Agent types"), ("settings/agents",)),
                ),
            ),
            Entry(
                _("Access"),
                "key-round",
                (
                    Page("grant-list", _("Access"), ("grants",)),
                    Page("coverage-map", _("Coverage map"), ("coverage",)),
                    Page("token-health", _("Token health"), ("token-health",)),
                    Page("agent-call-list", _("Agents calling agents"), ("agent-calls", "delegations")),
                ),
            ),
            Entry(
                _("Systems and tools"),
                "server",
                (
                    Page("system-list", _("Systems and tools"), ("systems", "tools", "tool-changes")),
                    Page("stdio-commands-page", _("Local servers"), ("settings/local-servers",)),
                    Page("policy-domain-list", _("Policy domains"), ("policy-domains",)),
                ),
            ),
            _door("catalogue", _("Entitlement catalog"), "library", "entitlements"),
            Entry(
                _("People"),
                "users",
                (
                    Page("people-list", _("People"), ("people",)),
                    Page("group-list", _("Groups"), ("groups",)),
                    Page("source-list", _("People sources"), ("settings/people-sources",)),
                    Page("role-map", _("Group mapping"), ("settings/role-map",)),
                ),
            ),
        ),
    ),
    Group(
        "policy",
        _("Policy"),
        (
            Entry(
                _("Approvals and SoD"),
                "stamp",
                (
                    Page("approval-settings", _("Approval policies"), ("settings/approvals",)),
                    Page("rule-list", _("SoD policies"), ("sod-policies",)),
                    Page("exception-list", _("Exceptions"), ("exceptions",)),
                    Page("change-proposal-list", _("Proposed changes"), ("change-proposals",)),
                ),
            ),
            Entry(
                _("Guardrails and limits"),
                "shield",
                (
                    Page("guardrail-list", _("Guardrails"), ("guardrails",)),
                    Page("budget-list", _("Budgets"), ("budgets",)),
                    Page("session-policies-page", _("Session policies"), ("settings/session-policies",)),
                ),
            ),
            Entry(
                _("Trust and credentials"),
                "landmark",
                (
                    Page("trusted-issuers-page", _("Trusted issuers"), ("settings/trusted-issuers",)),
                    Page("client-settings", _("Client documents"), ("settings/clients",)),
                    Page("credential-policy-page", _("Credential policy"), ("settings/credential-policy",)),
                ),
            ),
        ),
    ),
    Group(
        "investigate",
        _("Investigate"),
        (
            Entry(
                _("Ask"),
                "search",
                (
                    Page("who-can", _("Who can call, and why not"), ("decisions/who-can", "decisions/why")),
                    Page("what-if-list", _("What if"), ("decisions/what-if",)),
                ),
            ),
            _door("audit", _("Audit log"), "scroll-text", "audit"),
            Entry(
                _("Risk"),
                "triangle-alert",
                (
                    Page("risk-signals", _("Risk signals"), ("risk-signals", "settings/signal-responses")),
                    Page("decoy-list", _("Decoys"), ("decoys",)),
                ),
            ),
            _door("stops", _("Revocations"), "octagon-x", "stop"),
            _door("posture", _("Posture report"), "chart-line", "posture"),
        ),
    ),
    Group(
        "settings",
        _("Settings"),
        (
            Entry(
                _("Settings"),
                "settings",
                (
                    Page("settings", _("Settings"), ("settings", "mfa")),
                    Page("setup", _("Set-up"), ("settings/setup",)),
                    Page("ticket-settings", _("Ticket references"), ("settings/tickets",)),
                ),
                for_all=True,
            ),
            Entry(
                _("Integrations"),
                "webhook",
                (
                    Page("webhook-list", _("Webhooks"), ("settings/notices/webhooks",)),
                    Page("event-streams-page", _("Event streams"), ("settings/event-streams",)),
                    Page("chat-settings", _("Chat"), ("settings/chat",)),
                    Page("delivery-list", _("Deliveries"), ("settings/deliveries",)),
                    Page("discovery-list", _("Discovery sources"), ("settings/discovery",)),
                ),
            ),
        ),
    ),
)
PAGES: Final = tuple(page for group in GROUPS for entry in group.entries for page in entry.pages)
_FOLDED: Final = frozenset({"settings"})
"""Groups that are folded unless the reader is there, or has few entries."""


def shown(caller: Caller, section: str) -> list[Group]:
    """Return the groups with the pages that let the person in; `section` names the page that is current."""
    groups, is_concerned = [], _is_concerned(caller)
    for group in GROUPS:
        entries = tuple(_entry(caller, entry, section) for entry in group.entries if entry.for_all or is_concerned)
        is_open = group.key not in _FOLDED or not is_concerned or any(entry.current for entry in entries)
        groups.append(replace(group, entries=tuple(entry for entry in entries if entry.pages), open=is_open))
    return [group for group in groups if group.entries]


def tabs(groups: list[Group], name: str) -> Entry | None:
    """Return the entry that has the page of this name as a tab; None for a page below one, or the only one."""
    entries = (entry for group in groups for entry in group.entries if len(entry.pages) > 1)
    return next((entry for entry in entries if name in {page.name for page in entry.pages}), None)


def _entry(caller: Caller, entry: Entry, section: str) -> Entry:
    pages = tuple(
        replace(page, current=page.name == section)
        for page in entry.pages
        if permissions.lets_in(matrix.find(page.name, "GET").row, caller)
    )
    return replace(entry, pages=pages, current=any(page.current for page in pages))


def _is_concerned(caller: Caller) -> bool:
    """Whether more than the entries for all is of use to a person."""
    if caller.roles or caller.human is None:
        return True
    owned = visibility.agents(caller).exists() or visibility.systems(caller).exists()
    return owned or review_items.waiting_for(caller.human).exists()


def current(path: str) -> str:
    """Return the name of the page below which an address stands: that of the longest match; empty for none."""
    address = path.strip("/")
    fits = [
        (len(below), page.name)
        for page in PAGES
        for below in page.below
        if address == below or (below and address.startswith(f"{below}/"))
    ]
    return max(fits)[1] if fits else ""
