"""The company around the cast: its systems with their tools, its agents, and what they were given and used.

Data only. `scripts/demo/servers/office.py` serves the systems as MCP servers, `scripts/demo/data/backstory.py` makes
the rest through the product's actions. Among it are facts that a review has to bring up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scripts.demo.data.cast import LONG_AGO, AgentSpec, Character, EntitlementSpec

PEOPLE: Final = (
    Character("ines", "Ines Falk", department="Finance"),
    Character("tara", "Tara Quist", department="Customer care"),
    Character("milan", "Milan Kos", department="Delivery"),
    Character("dana", "Dana Reyes", department="Finance"),
    Character("rob", "Rob Adeyemi", ("analyst",), department="Security"),
    Character("nora", "Nora Feld", manager="ines", department="Finance"),
    Character("piet", "Piet Hol", manager="tara", department="Customer care"),
    Character("grace", "Grace Lim", manager="tara", department="Customer care"),
    Character("henry", "Henry Moss", manager="ines", department="Finance"),
)
"""Colleagues without a card: they answer for agents, or agents act for them."""
LEAVER, LEFT_BEFORE = "nora", "piet"
"""Who leaves while the review is under way, and who left shortly before it began."""
GROUPS: Final = (("support", "Support", ("grace", "alice")), ("finance", "Finance", ("henry", "bob")))


@dataclass(frozen=True)
class ToolSpec:
    """One tool: its server's description, and the approval that people gave it."""

    name: str
    sentence: str
    action: str = "read"
    risk: str = "low"
    data_class: str = "internal"
    flows: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ("query",)
    numbers: tuple[str, ...] = ()

    def definition(self, **changes: object) -> dict[str, Any]:
        """Return the tool as its server lists it."""
        properties: dict[str, Any] = {name: {"type": "string"} for name in self.arguments}
        properties |= {name: {"type": "integer", "minimum": 1} for name in self.numbers}
        return {
            "name": self.name,
            "description": self.sentence,
            "inputSchema": {"type": "object", "properties": properties},
            "annotations": {"readOnlyHint": self.action == "read"},
            **changes,
        }


@dataclass(frozen=True)
class Department:
    """One system, who owns it, and what it offers. Calls of kind `mcp` go past our gateway."""

    slug: str
    name: str
    owner: str
    tools: tuple[ToolSpec, ...]
    kind: str = "mcp_gateway"


_PRIVATE, _STRANGERS, _OUT = "reads_private", "ingests_untrusted", "egress_external"
SYSTEMS: Final = (
    Department(
        "desk",
        "Help desk",
        "tara",
        (
            ToolSpec("search_tickets", "Searches the tickets of customers.", flows=(_STRANGERS,)),
            ToolSpec(
                "read_ticket", "Shows one ticket with all its messages.", flows=(_STRANGERS,), arguments=("number",)
            ),
            ToolSpec(
                "answer_ticket",
                "Sends an answer to the customer.",
                "write",
                "medium",
                flows=(_OUT,),
                arguments=("number", "text"),
            ),
            ToolSpec("close_ticket", "Closes a ticket.", "write", "medium", arguments=("number",)),
        ),
    ),
    Department(
        "crm",
        "Customer records",
        "tara",
        (
            ToolSpec("find_customer", "Finds a customer by name.", "read", "medium", "confidential", (_PRIVATE,)),
            ToolSpec(
                "read_contract", "Shows a customer's contract.", "read", "medium", "confidential", (_PRIVATE,), ("id",)
            ),
            ToolSpec("change_address", "Changes a customer's address.", "write", "medium", arguments=("id", "address")),
            ToolSpec(
                "export_customers", "Exports every customer into a file.", "read", "high", "restricted", (_PRIVATE,), ()
            ),
        ),
    ),
    Department(
        "mail",
        "Mailbox",
        "sam",
        (
            ToolSpec("list_mail", "Lists the mail of a folder.", flows=(_STRANGERS,), arguments=("folder",)),
            ToolSpec("read_mail", "Shows one mail.", "read", "medium", "confidential", (_PRIVATE, _STRANGERS), ("id",)),
            ToolSpec("send_mail", "Sends a mail.", "write", "medium", flows=(_OUT,), arguments=("to", "text")),
        ),
    ),
    Department(
        "erp",
        "Purchasing",
        "sam",
        (
            ToolSpec("list_invoices", "Lists the invoices of a month.", arguments=("month",)),
            ToolSpec("read_invoice", "Shows one invoice.", arguments=("number",)),
            ToolSpec("create_vendor", "Registers a new supplier.", "write", "high", arguments=("name", "account")),
            ToolSpec(
                "pay_invoice",
                "Pays an invoice from the company's account.",
                "execute",
                "critical",
                "restricted",
                arguments=("number",),
                numbers=("amount",),
            ),
        ),
    ),
    Department(
        "ship",
        "Delivery",
        "milan",
        (
            ToolSpec("list_releases", "Lists the latest releases.", arguments=("service",)),
            ToolSpec("deploy_release", "Puts a release into operation.", "execute", "high", arguments=("service",)),
            ToolSpec("rollback_release", "Goes back to the release before.", "execute", "high", arguments=("service",)),
        ),
    ),
    Department(
        "suite",
        "Vendor suite",
        "sam",
        (ToolSpec("find_document", "Finds a document in the vendor's suite."),),
        kind="mcp",
    ),
)
SERVED: Final = tuple(system.slug for system in SYSTEMS if system.kind == "mcp_gateway")
DRIFT: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "desk": {
        "answer_ticket": {
            "inputSchema": {
                "type": "object",
                "properties": {
                    "number": {"type": "string"},
                    "text": {"type": "string"},
                    "copy_to": {"type": "string", "description": "Anybody else who gets the answer."},
                },
            }
        }
    },
    "crm": {"find_customer": {"description": "Finds a customer by name, mail address or telephone number."}},
}
"""What two servers say otherwise since DRIFTED: a schema that grew stops its tool, another text does not."""
QUARANTINED, REWORDED = ("desk", "answer_ticket"), ("crm", "find_customer")

ENTITLEMENTS: Final = (
    EntitlementSpec("desk:read", "Read tickets", "Search and read tickets.", ("search_tickets", "read_ticket")),
    EntitlementSpec(
        "desk:work",
        "Work on tickets",
        "Read, answer and close tickets.",
        ("search_tickets", "read_ticket", "answer_ticket", "close_ticket"),
    ),
    EntitlementSpec(
        "crm:read", "Look customers up", "Find customers and their contracts.", ("find_customer", "read_contract")
    ),
    EntitlementSpec(
        "crm:care",
        "Look after customers",
        "Find, change and export customers.",
        ("find_customer", "read_contract", "change_address", "export_customers"),
    ),
    EntitlementSpec("mail:read", "Read mail", "List and read mail.", ("list_mail", "read_mail")),
    EntitlementSpec("mail:send", "Send mail", "Send mail.", ("send_mail",)),
    EntitlementSpec("erp:read", "Read invoices", "List and read invoices.", ("list_invoices", "read_invoice")),
    EntitlementSpec("erp:vendors", "Register suppliers", "Register new suppliers.", ("create_vendor",)),
    EntitlementSpec(
        "erp:pay",
        "Pay invoices",
        "Pay invoices.",
        ("pay_invoice",),
        limits={"pay_invoice": {"amount": {"max": 50_000}}},
    ),
    EntitlementSpec("ship:read", "Watch releases", "List releases.", ("list_releases",)),
    EntitlementSpec("ship:deploy", "Deploy", "Deploy and roll back.", ("deploy_release", "rollback_release")),
    EntitlementSpec("suite:read", "Find documents", "Find documents.", ("find_document",)),
)


def _bot(slug: str, name: str, sponsor: str, owner: str, purpose: str, kind: str = "shared") -> AgentSpec:
    return AgentSpec(slug, name, kind, sponsor, owner, purpose, {slug: "private_key_jwt"})


PAYROLL: Final = AgentSpec(
    "payroll-bot",
    "Payroll check",
    "service",
    "ines",
    "dana",
    "Compares invoices with the payroll every night.",
    {"payroll-bot": "client_secret_basic"},
)
"""The oldest agent: its shared secret was made with the company and never since."""
_REGIONS: Final = ("north", "south", "east", "west", "harbour", "night")
AGENTS: Final = (
    _bot("support-bot", "Support triage", "sofia", "otto", "Answers simple questions of customers."),
    _bot("care-bot", "Customer care", "sofia", "otto", "Keeps addresses of customers up to date."),
    _bot("curious-bot", "Data explorer", "sofia", "otto", "Answers questions about customers for the sales desk."),
    _bot("pilot-bot", "Chat pilot", "sofia", "otto", "Was to answer chats. The project was given up."),
    _bot("minutes-bot", "Meeting minutes", "sofia", "otto", "Writes the minutes of meetings."),
    *(
        _bot(
            f"desk-{region}",
            f"Ticket summary {region}",
            "sofia" if place % 2 else "tara",
            "otto",
            "Sums tickets up for the morning round.",
        )
        for place, region in enumerate(_REGIONS)
    ),
    _bot("buyer-bot", "Purchasing helper", "ines", "dana", "Registers suppliers and pays what was approved."),
    _bot("invoice-bot", "Invoice matcher", "ines", "dana", "Matches invoices that come by mail."),
    _bot("budget-bot", "Budget watch", "nora", "dana", "Warns when a cost centre runs over."),
    _bot("dunning-bot", "Dunning letters", "nora", "dana", "Drafts reminders to late payers."),
    _bot("audit-bot", "Receipt check", "nora", "dana", "Checks receipts against invoices."),
    _bot("filing-bot", "Filing helper", "piet", "otto", "Files documents in the vendor's suite."),
    _bot("release-bot", "Release train", "milan", "otto", "Commits the version and deploys it.", "service"),
    _bot("changes-bot", "Change log", "milan", "otto", "Writes the change log of each release.", "service"),
    _bot("lab-bot", "Lab assistant", "otto", "dana", "Looks contracts up for the laboratory."),
    _bot("sorter-bot", "Mail sorter", "sam", "dana", "Sorts the mail of finance."),
    _bot("inbox-bot", "Sam's inbox", "sam", "otto", "Reads Sam's mail to him.", "personal"),
    _bot("stock-bot", "Stock list", "ana", "otto", "Knows which customer has which device."),
    _bot("scan-bot", "Release scan", "resa", "milan", "Scans releases for known weaknesses.", "service"),
    _bot("repair-bot", "Repair crew", "milan", "otto", "Repairs what broke in the night.", "service"),
)


@dataclass(frozen=True)
class GrantSpec:
    """Access that was asked for, approved and given so many days ago, and the calls of each tool in a week since."""

    agent: str
    scope: str
    reason: str
    ago: float = 130.0
    lasts: float = 330.0
    people: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    used: Mapping[str, int] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def system(self) -> str:
        """The system it is at."""
        return self.scope.partition(":")[0]


_SUPPORT, _FINANCE = ("support",), ("finance",)
GRANTS: Final = (
    GrantSpec(
        "support-bot",
        "desk:work",
        "First answers within an hour.",
        groups=_SUPPORT,
        used={"search_tickets": 4, "read_ticket": 6, "answer_ticket": 3, "close_ticket": 2},
    ),
    GrantSpec(
        "support-bot",
        "crm:read",
        "Answers depend on the contract.",
        groups=_SUPPORT,
        used={"find_customer": 3, "read_contract": 2},
    ),
    GrantSpec(
        "care-bot",
        "crm:care",
        "Customers move.",
        groups=_SUPPORT,
        used={"find_customer": 5, "change_address": 3},
    ),
    GrantSpec("curious-bot", "crm:read", "Questions of the sales desk.", people=("alice",), used={"find_customer": 2}),
    GrantSpec("pilot-bot", "desk:read", "A pilot of answering chats.", groups=_SUPPORT),
    GrantSpec(
        "minutes-bot", "mail:read", "Agendas come by mail.", ago=25, people=("alice", "bob"), used={"read_mail": 2}
    ),
    *(
        GrantSpec(
            f"desk-{region}",
            "desk:read",
            "The morning round.",
            people=("grace",),
            used={"search_tickets": 1, "read_ticket": 2},
        )
        for region in _REGIONS
    ),
    GrantSpec("buyer-bot", "erp:vendors", "New suppliers every week.", groups=_FINANCE, used={"create_vendor": 1}),
    GrantSpec(
        "buyer-bot",
        "erp:pay",
        "Discounts for paying early.",
        groups=_FINANCE,
        used={"pay_invoice": 2},
        arguments={"number": "2026-114", "amount": 640},
    ),
    GrantSpec(
        "invoice-bot",
        "erp:read",
        "Invoices are matched by number.",
        people=("henry",),
        used={"list_invoices": 2, "read_invoice": 5},
    ),
    GrantSpec("invoice-bot", "mail:read", "Invoices come by mail.", people=("henry",), used={"list_mail": 4}),
    GrantSpec("payroll-bot", "erp:read", "The nightly comparison.", used={"list_invoices": 3, "read_invoice": 3}),
    GrantSpec("budget-bot", "erp:read", "Budgets are compared monthly.", people=("henry",), used={"list_invoices": 2}),
    GrantSpec("dunning-bot", "mail:send", "Reminders go out on Fridays.", people=("henry",), used={"send_mail": 2}),
    GrantSpec(
        "audit-bot",
        "erp:read",
        "Receipts are checked by sample.",
        groups=_FINANCE,
        used={"list_invoices": 1, "read_invoice": 2},
    ),
    GrantSpec("filing-bot", "suite:read", "Documents are filed by hand otherwise.", people=("grace",)),
    GrantSpec("release-bot", "git:write", "The version is a commit.", used={"git_add": 1, "git_commit": 1}),
    GrantSpec("release-bot", "ship:deploy", "Every Thursday.", used={"deploy_release": 1}),
    GrantSpec("changes-bot", "git:read", "Commits become the change log.", used={"git_log": 3, "git_show": 2}),
    GrantSpec("changes-bot", "ship:read", "The log names the release.", ago=128),
    GrantSpec("lab-bot", "crm:read", "Devices are on the contract.", people=("bob",), used={"read_contract": 2}),
    GrantSpec(
        "sorter-bot", "mail:read", "The mail of finance.", groups=_FINANCE, used={"list_mail": 5, "read_mail": 3}
    ),
    GrantSpec("inbox-bot", "mail:read", "On the way to work.", people=("sam",), used={"list_mail": 2, "read_mail": 2}),
    GrantSpec("stock-bot", "crm:read", "Recalls name the device.", people=("alice",), used={"find_customer": 1}),
    GrantSpec("scan-bot", "ship:read", "Releases are scanned.", used={"list_releases": 2}),
    GrantSpec("stale-bot", "time:read", "A pilot for Bob's team.", ago=LONG_AGO, lasts=90, people=("bob",)),
    GrantSpec(
        "orphan-bot",
        "time:read",
        "Bob's calendar needs time zones.",
        ago=LONG_AGO,
        lasts=90,
        people=("bob",),
        used={"convert_time": 3},
    ),
)
EXCEEDING: Final = ("curious-bot", "export_customers", 12)
"""Who calls what it was never given, and how often."""
TEMPORARY: Final = GrantSpec(
    "repair-bot", "ship:deploy", "The payment service was down.", ago=20, lasts=0.3, used={"rollback_release": 2}
)
"""Access for some hours that is over: it was in force within the time that a review looks at."""
TONIGHT: Final = GrantSpec("repair-bot", "ship:deploy", "The search is slow; until tonight.", ago=0, lasts=0.4)
BY_RULE: Final = GrantSpec(
    "stock-bot", "desk:read", "Which tickets name the device?", ago=8, lasts=60, people=("grace",)
)
"""Access that a rule approved, and no person yet looked at."""

SOD_POLICIES: Final = ("lethal-trifecta", "vendor-and-payment", "code-and-deployment", "console-and-access")
"""The SoD policies in force, as the starter packs ship them."""
FOUNDED, SET_UP, FIRST_REVIEW, RULES, RULE, DRIFTED = 430, 140, 115, 40, 21, 8
LEFT, BEGAN, LEAVES = 5.0, 3.0, 0.9
"""So many days ago it was that people came, that systems and agents were registered, and so on."""
CHECKED_OTHERWISE: Final = "curious-bot"
"""The agent of which a spot check of the first review would have kept less."""
CAMPAIGN, CAMPAIGN_NAME, FIRST_CAMPAIGN = "q4-access", "Fourth quarter: what may agents do?", "q3-rehearsal"
