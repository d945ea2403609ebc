"""A decision as an answer to a person: one sentence, the event that made it so, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from audit import clock
from entitlements import codes
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.api import permissions, record
from entitlements.catalog.models import Tool
from entitlements.codes import Code
from entitlements.decisions.verdicts import Effect
from entitlements.people.models import Person
from entitlements.revocation.api import KINDS
from governance.audit_log.queries import events
from governance.audit_log.queries.events import TimelineEntry
from governance.console import matrix
from governance.decisions import causes, steps
from governance.decisions.causes import About
from governance.decisions.queries import readable, who_can


@dataclass(frozen=True, slots=True)
class Answer:
    """What was or would be decided: its code in words, its cause where the reader may see it, and what comes next."""

    code: Code
    is_allowed: bool
    sentence: Any
    remedy: str
    cause: TimelineEntry | None
    next: tuple[Next, ...]


@dataclass(frozen=True, slots=True)
class Next:
    """Something to do: a page, and what it is for."""

    label: Any
    address: str


@dataclass(frozen=True, slots=True)
class _Page:
    """A page that helps: its name, the kind of thing that it shows, and what its address names besides."""

    label: Any
    name: str
    of: str = ""
    named: tuple[str, ...] = ()


_ACCESS: Final = ("agent", "system", "tool", "denied_call")
_AGENT: Final = _Page(_("Show the agent"), "agent-page", "agent")
_TOOL: Final = _Page(_("Show the tool"), "tool-page", "tool")
_REQUEST: Final = _Page(_("Request access"), "ask", named=_ACCESS)
_GRANT: Final = _Page(_("Show the access"), "grant-page", "grant")
PAGES: Final[Mapping[str, tuple[_Page, ...]]] = {
    "stop": (_Page(_("Show what is stopped"), "stops"),),
    "system": (_Page(_("Show the system"), "system-page", "system"),),
    "policy_domain": (_Page(_("Show the policy domains"), "policy-domain-list"),),
    **dict.fromkeys(("agent", "sponsor", "owner", "client", "client_proof"), (_AGENT,)),
    "person": (_Page(_("Show the person"), "person-page", "person"),),
    "token": (_Page(_("Connect again"), "connect", named=("agent", "system")),),
    "session": (_Page(_("Show the session"), "session-page", "session"),),
    **dict.fromkeys(("tool", "definition"), (_TOOL,)),
    "grant": (_REQUEST, _GRANT),
    "limits": (_Page(_("Request wider limits"), "ask", named=_ACCESS), _GRANT),
    "guardrails": (_Page(_("Show the guardrail"), "guardrail-page", "guardrail"),),
    "delegation": (_Page(_("Show which agents may call agents"), "agent-call-list"),),
    "account": (_Page(_("Connect an account"), "connected-account-page", "system"),),
    "budgets": (_Page(_("Show the budgets"), "budget-list", named=("agent",)),),
}
"""What helps where a rule refused, by its key."""
_ALLOWED: Final = (_GRANT, _Page(_("What if it is narrowed"), "what-if-grant", "grant"))


_WORDS: Final = {
    (True, False): _("Yes, %(agent)s can call %(tool)s. %(why)s"),
    (True, True): _("Yes, %(agent)s can call %(tool)s for %(person)s. %(why)s"),
    (False, False): _("No, %(agent)s cannot call %(tool)s. %(why)s"),
    (False, True): _("No, %(agent)s cannot call %(tool)s for %(person)s. %(why)s"),
}
"""An answer in words, by whether a call can pass, and whether a person was named."""


def of_agent(caller: Caller, tool: Tool, agent: Agent, person: Person | None, moment: datetime | None) -> Answer:
    """Return whether an agent can call a tool, for a person where one is named, now or at a moment."""
    verdict, grant = who_can.decide(caller, tool, agent, person, moment)
    about = {
        "agent": [agent.slug],
        "system": [tool.system.slug],
        "tool": [f"{tool.system.slug}/{tool.name}"],
        "person": [person.login] if person else [],
        "grant": [str(grant.pk)] if grant else [],
        "guardrail": [each.key for each in verdict.guardrails],
    }
    can = verdict.effect is not Effect.DENY
    names = {"agent": agent.name, "tool": tool.name, "person": person.name if person else "", "why": verdict.sentence}
    answer = of(verdict.code, about, moment or clock.now(), caller)
    return replace(answer, is_allowed=can, sentence=_WORDS[can, person is not None] % names)


def of(code: Code, about: About, at: datetime, caller: Caller) -> Answer:
    """Return the answer of a code about some things at a moment, as far as the caller may see its cause."""
    event, meaning = causes.find(code, about, at), codes.meaning(code)
    shown = event if event is not None and readable.reads(caller, event) else None
    return Answer(
        code,
        code is Code.ALLOWED,
        meaning.sentence,
        meaning.remedy,
        events.entries([shown], caller)[0] if shown else None,
        tuple(_next(code, about, caller)),
    )


def _next(code: Code, about: About, caller: Caller) -> Iterator[Next]:
    pages = _ALLOWED if code is Code.ALLOWED else PAGES.get(steps.RULES[steps.place(code)].key, ())
    for page in pages:
        keys = about.get(page.of, ())[:1]
        if (page.of and not keys) or not permissions.lets_in(matrix.find(page.name, "GET").row, caller):
            continue
        if page.of in KINDS and not record.sees(caller, page.of, keys[0]):
            continue
        named = {kind: about[kind][0] for kind in page.named if about.get(kind)}
        if "tool" in named:
            named["tool"] = named["tool"].partition("/")[2]
        try:
            address = reverse(page.name, args=keys[0].split("/", 1) if page.of == "tool" else keys)
        except NoReverseMatch:  # a key of an old or foreign form
            continue
        yield Next(page.label, f"{address}?{urlencode(named)}" if named else address)
