"""A company in which everything that somebody else may write is an attack on whoever reads it."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from audit import log
from audit.actions import Action
from audit.context import acting
from entitlements.agents.models import Agent
from entitlements.catalog import discovery
from entitlements.catalog import tools as tools_actions
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.clients.models import Client
from entitlements.definitions import definitions
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.revocation.models import Revocation
from entitlements.sessions.models import Session
from governance.requests.models import AccessRequest
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.discussion import comments, questions
from governance.reviews.items.answer import Answer
from tests.entitlements.decoys import planted
from tests.governance.console import addresses
from tests.governance.decoys.touches import touch

HIDDEN: Final = "\u202e\u200b\u2066\u00ad\ufeff\U000e0041\u2028"
SCRIPT: Final = "<script>window.owned=1</script><img src=x onerror=window.owned=2>"
ESCAPES: Final = "\x1b[31m\x1b]0;owned\x07\x08"
TEMPLATE: Final = "{{7*7}}{%25 debug %25}${7*7}<%= 7*7 %>"
FORMULAS: Final = (
    "=cmd|'/c calc'!A1",
    '+HYPERLINK("//evil.example")',
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\uff1d1+1",
)
BREAKOUT: Final = "'\"></td></option></textarea></title></style></script><svg onload=window.owned=3>"
ADDRESS: Final = "javascript:window.owned=4"
HEBREW: Final = "\u05e9\u05dc\u05d5\u05dd"
DECOY: Final = "zz_canary_export"
LOOKALIKE: Final = "\u0430dmin"  # a Cyrillic letter, then Latin ones


def text(most: int = 200) -> str:
    """Return all of it in one line of at most so many characters."""
    return f"=1+1{HIDDEN}{SCRIPT}{BREAKOUT}{TEMPLATE}{ESCAPES}{ADDRESS}{HEBREW}{LOOKALIKE}"[:most]


def long() -> str:
    """Return a word and a text of 200 kB."""
    return text(1000) + "W" * 100_000 + " wide" * 20_000


def world() -> addresses.World:
    """Fill every text that a page shows and that somebody else has a say in."""
    made = addresses.world()
    touch(planted.tool(made.company.system.tools.get(name="now"), made.company.bot, name=DECOY, by=made.company.ana))
    Agent.objects.update(name=text(), purpose=text(500), status_reason=text())
    System.objects.update(name=text())
    Person.objects.exclude(login="ana").update(name=text())
    Entitlement.objects.update(name=text(), sentence=text(300))
    Client.objects.update(name=text())
    Tool.objects.update(sentence=text(300))
    Campaign.objects.exclude(state=Campaign.State.CLOSED).update(name=text())  # the database keeps what is closed
    AccessRequest.objects.update(reason=text(1000))
    Revocation.objects.update(reason=text(500), residual=[{"what": text(), "where": text(), "dies_at": None}])
    Session.objects.update(labels=[text()])
    Grant.objects.update(end_reason="")
    _definitions(made)
    _record(made)
    _decide(made)
    return made


def _definitions(made: addresses.World) -> None:
    """Let every tool say and ask for hostile things, one of them at length, and offer another text now."""
    tools = list(made.company.system.tools.order_by("name"))
    offered = [
        {
            "name": tool.name,
            "title": text(),
            "description": long() if place == 0 else text(2000),
            "inputSchema": {
                "type": "object",
                "properties": {text(60): {"type": "string", "description": text(), "enum": [text(100), ADDRESS]}},
            },
            "annotations": {"title": text()},
        }
        for place, tool in enumerate(tools)
    ]
    by = made.company.ana.principal
    discovery.record_discovery(made.company.system, offered, by=by)
    for tool, raw in zip(tools, offered, strict=True):
        tool.refresh_from_db()
        approval = tools_actions.Approval(tool, definitions.digest(raw), text(300), tool.action, tool.risk)
        tools_actions.approve_tool(approval, by=by, reason="Read it.")
    changed = [
        {"name": "now", "description": "Now " + text(3000), "inputSchema": {"type": "object"}},
        {"name": "other", "description": text(3000), "inputSchema": {"type": "object"}},
    ]
    discovery.record_discovery(
        made.company.system, [*changed, *(raw for raw in offered if raw["name"] != "now")], by=by
    )


def _record(made: addresses.World) -> None:
    """Record what upstreams, browsers and people said."""
    links = [f"agent:{made.company.bot.slug}", f"system:{made.company.system.slug}", f"grant:{made.grant.pk}"]
    with transaction.atomic(), acting(source=text(100)):
        for action in (Action.CALL_DENIED, Action.CALL_INDETERMINATE):
            log.record(
                action,
                by=made.company.bot.principal,
                about=links,
                outcome="failure",
                code="upstream_failed",
                reason=text(500),
                detail={"upstream": text(500), text(60): text(), "user_agent": text(), "items": text()},
            )


def _decide(made: addresses.World) -> None:
    item = made.samples["reviews/item"]
    said = Answer("certify", "business_need", text(500))
    submission.save_draft(item, said, by=made.company.sofia, rev=0)  # type: ignore[arg-type]
    comments.comment(item, by=made.company.sofia, text=text(500))  # type: ignore[arg-type]
    asked = questions.ask(item, to=made.company.sam, by=made.company.sofia, text=text(500))  # type: ignore[arg-type]
    questions.answer(asked.pk, by=made.company.sam, text=text(500))
