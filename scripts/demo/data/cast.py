"""Who and what the demo world holds: people, agents, clients, tools in plain words, and the requestable entitlements.

Data only; `scripts/demo/data/seed.py` makes it through the product's actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Character:
    """A person: `roles` are those in Mandate itself, `part` what else they are in the story.

    `title` and `card` stand on the card with which a visitor signs in as this person; `role` heads one of the first
    three cards, and is empty for people whom the page folds away.
    """

    login: str
    name: str
    roles: tuple[str, ...] = ()
    part: str = ""
    manager: str | None = None
    title: str = ""
    card: str = ""
    role: str = ""
    department: str = ""

    @property
    def first(self) -> str:
        """The first name."""
        return self.name.partition(" ")[0]


PEOPLE: Final = (
    Character(
        "ana",
        "Ana Ortiz",
        ("analyst",),
        title="Analyst",
        card="Registers agents and systems, runs access reviews, and revokes access. Approves nothing alone.",
        role="IAM analyst",
        department="IT",
    ),
    Character(
        "otto",
        "Otto Lindqvist",
        part="owner",
        title="Owner of the agents",
        card="Builds and runs agents, and requests access for them. Cannot approve his own requests.",
        department="IT",
    ),
    Character(
        "sofia",
        "Sofia Marino",
        part="sponsor",
        title="Sponsor of agents, manager",
        card="Owns agents and is manager of Alice and Bob. Narrows and approves requests, and reviews access.",
        role="Owner",
        department="Sales",
    ),
    Character(
        "sam",
        "Sam Okafor",
        part="system_owner",
        title="Owner of the systems",
        card="Owns the systems that agents call and their credentials. Can approve, and can suspend his systems.",
        department="IT",
    ),
    Character(
        "resa",
        "Resa Halim",
        ("security",),
        title="Security",
        card="Approves high-risk access, sees everything, and holds the kill switch.",
        department="Security",
    ),
    Character(
        "audrey",
        "Audrey Blanc",
        ("auditor",),
        title="Auditor",
        card="Reads the whole audit log and verifies it. Can change nothing.",
        role="Auditor",
        department="Internal audit",
    ),
    Character(
        "admin",
        "Adele Minh",
        ("admin",),
        title="Administrator",
        card="Manages people, admin roles and keys. Gives no access to agents.",
        department="IT",
    ),
    Character(
        "alice",
        "Alice Weber",
        manager="sofia",
        title="A colleague with an agent",
        card="Her travel helper acts for her. She sees what it does in her name, and can end it.",
        department="Sales",
    ),
    Character(
        "bob",
        "Bob Tanaka",
        manager="sofia",
        title="A colleague in a group",
        card="The research desk acts for him and his group. He sees that, and nothing of Alice's.",
        department="Sales",
    ),
    Character(
        "mallory",
        "Mallory Quint",
        title="A colleague without an admin role",
        card="Has no admin role and no agent. She sees only what is about her.",
        department="Sales",
    ),
)
GONE: Final = Character("leo", "Leo Dumont", department="IT")
"""The owner of `orphan-bot`, who has left."""
GROUP: Final = ("research", "Research", ("alice", "bob"))
SECOND_ADMIN: Final = Character("nadia", "Nadia Petrova", ("admin",), department="IT")
"""Where the machine lacks a part of the sandbox of local servers, that is accepted by `admin` and by her."""
SYSTEM_OWNER: Final = "sam"
ANALYST: Final = "ana"
SECURITY: Final = "resa"


@dataclass(frozen=True)
class AgentSpec:
    """An agent and its clients: each an identifier with how it authenticates."""

    slug: str
    name: str
    kind: str
    sponsor: str
    owner: str
    purpose: str
    clients: Mapping[str, str]

    @property
    def client_id(self) -> str:
        """The client that the demo uses."""
        return next(iter(self.clients))


AGENTS: Final = (
    AgentSpec(
        "expense-bot",
        "Expense helper",
        "personal",
        "alice",
        "otto",
        "Fills in expense reports for Alice.",
        {"expense-bot": "client_secret_basic", "expense-bot-keyed": "private_key_jwt"},
    ),
    AgentSpec(
        "build-bot",
        "Build watcher",
        "service",
        "sofia",
        "otto",
        "Reads the repository after every build.",
        {"build-bot": "private_key_jwt"},
    ),
    AgentSpec(
        "research-bot",
        "Research desk",
        "shared",
        "sofia",
        "otto",
        "Answers questions of the research group.",
        {"research-bot": "private_key_jwt", "research-desktop": "none"},
    ),
    AgentSpec(
        "parcel-bot",
        "Parcel clerk",
        "shared",
        "ines",
        "otto",
        "Announces parcels and says where they are.",
        {"parcel-bot": "private_key_jwt"},
    ),
    AgentSpec(
        "desk-bot",
        "Desk assistant",
        "shared",
        "sofia",
        "otto",
        "Works at people's desks, in any client of MCP that they sign in at.",
        {"desk-client": "none"},
    ),
    AgentSpec(
        "stale-bot",
        "Last year's pilot",
        "shared",
        "sofia",
        "otto",
        "Was tried out for Bob, and forgotten.",
        {"stale-bot": "client_secret_basic"},
    ),
    AgentSpec(
        "orphan-bot",
        "Leo's assistant",
        "shared",
        "sofia",
        GONE.login,
        "Keeps Bob's calendar. The engineer who built it has left.",
        {"orphan-bot": "client_secret_basic"},
    ),
)
SCRIPT: Final = "inventory-script"
"""A client without an agent: a script of the platform team, at /as/mandate."""
SCRIPT_SCOPES: Final = ("mandate:read", "mandate:write", "mandate:revoke")
CALLBACKS: Final[Mapping[str, str]] = {
    "research-desktop": "http://localhost/callback",
    "desk-client": "http://127.0.0.1/callback",
}
"""Where each public client takes its authorization code: loopback, on any port (RFC 8252, section 7.3)."""


@dataclass(frozen=True)
class ToolWords:
    """What a person writes about a tool when they approve it."""

    sentence: str
    action: str = "read"
    risk: str = "low"


TOOLS: Final[Mapping[str, Mapping[str, ToolWords]]] = {
    "time": {
        "get_current_time": ToolWords("Tells the time in a time zone."),
        "convert_time": ToolWords("Converts a time from one time zone to another."),
    },
    "git": {
        "git_status": ToolWords("Shows which files of the repository have changed."),
        "git_diff_unstaged": ToolWords("Shows changes that are not marked for the next commit."),
        "git_diff_staged": ToolWords("Shows changes that are marked for the next commit."),
        "git_diff": ToolWords("Shows what differs between two branches or commits."),
        "git_log": ToolWords("Lists the latest commits."),
        "git_show": ToolWords("Shows one commit."),
        "git_branch": ToolWords("Lists the branches."),
        "git_add": ToolWords("Marks files for the next commit.", "write", "medium"),
        "git_commit": ToolWords("Makes a commit of what is marked.", "write", "medium"),
        "git_create_branch": ToolWords("Makes a new branch.", "write", "medium"),
        "git_checkout": ToolWords("Switches the working copy to another branch.", "write", "high"),
        "git_reset": ToolWords("Unmarks everything that was marked for the next commit.", "delete", "high"),
    },
    "parcels": {
        "list_parcels": ToolWords("Lists parcels, of one state or all."),
        "show_parcel": ToolWords("Shows where a parcel is."),
        "announce_parcel": ToolWords("Announces a parcel.", "write", "medium"),
        "cancel_parcel": ToolWords("Cancels a parcel that was announced.", "delete", "high"),
    },
}


@dataclass(frozen=True)
class EntitlementSpec:
    """An entitlement that people can request."""

    scope: str
    name: str
    sentence: str
    tools: tuple[str, ...]
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def system(self) -> str:
        """The system it belongs to."""
        return self.scope.partition(":")[0]


ENTITLEMENTS: Final = (
    EntitlementSpec("time:read", "Ask the time", "Look up and convert times.", tuple(TOOLS["time"])),
    EntitlementSpec(
        "git:read",
        "Read the repository",
        "Look at files, commits and branches, and change nothing.",
        tuple(name for name, seen in TOOLS["git"].items() if seen.action == "read"),
    ),
    EntitlementSpec(
        "git:write",
        "Change the repository",
        "Commit, branch, and switch branches.",
        tuple(name for name, seen in TOOLS["git"].items() if seen.action != "read"),
    ),
    EntitlementSpec(
        "parcels:send",
        "Send and follow parcels",
        "List, show and announce parcels.",
        tuple(name for name, seen in TOOLS["parcels"].items() if seen.action != "delete"),
    ),
)


def limits(bundle: EntitlementSpec, repository: str) -> dict[str, dict[str, Any]]:
    """Return the limits that a bundle's tools start from: git tools stay in the one repository."""
    if bundle.system != "git":
        return {}
    return {tool: {"repo_path": {"under": repository}} for tool in bundle.tools}


@dataclass(frozen=True)
class AccessRequestSpec:
    """An access request that the world holds from the start: `approved` by its approvers, or left for the visitor."""

    agent: str
    scope: str
    days: int
    reason: str
    people: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    approved: bool = True
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


LONG_AGO, LATELY = 61, 14
"""So many days ago the old agents of the cast were registered, and the others."""
OLD: Final = frozenset({"stale-bot", "orphan-bot"})
ACCESS_REQUESTS: Final = (
    AccessRequestSpec("build-bot", "git:read", 30, "The build report quotes the commits since the last release."),
    AccessRequestSpec("research-bot", "time:read", 30, "Meetings across time zones.", groups=("research",)),
    AccessRequestSpec("parcel-bot", "parcels:send", 30, "Samples are sent to partners and followed.", people=("bob",)),
    AccessRequestSpec("desk-bot", "time:read", 30, "Times of colleagues elsewhere.", people=("alice",)),
    AccessRequestSpec(
        "research-bot",
        "git:write",
        7,
        "Corrections to the research notes, as commits.",
        groups=("research",),
        approved=False,
    ),
)
