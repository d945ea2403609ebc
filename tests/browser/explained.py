"""Decisions to explain, for pictures: calls as the decision function decided them, and a replay that found denials."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal, acting
from audit.models import Event
from entitlements.access import caller as callers
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import Call
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.what_if import what_if
from governance.what_if.models import WhatIf
from tests.browser import answered


def decided(grant: Grant, client: str, tool: str, **arguments: object) -> Event:
    """Let the decision function decide a call under a grant, and record it as the gateway does."""
    agent, system = grant.agent.slug, grant.entitlement.system.slug
    person = next((each.person for each in grant.subjects.all() if each.person), None)
    known = facts.load(agent, system, [(person.login, person.is_active)] if person else [])
    assert known is not None
    call = Call(agent, client, person.login if person else None, system, tool, arguments)
    verdict = policy.decide(call, known, clock.now().timestamp())
    links = [f"client:{client}", f"system:{system}", f"tool:{system}/{tool}"]
    links += [f"grant:{verdict.grant}"] if verdict.grant else []
    detail: dict[str, object] = {"method": "tools/call", "tool": tool, "arguments": "0" * 64}
    detail |= {"version": verdict.tool_version} if verdict.tool_version else {}
    if not verdict.allowed:
        detail |= {"effect": verdict.effect, "reasons": [f"{each.code}: {each.sentence}" for each in verdict.reasons]}
    action, outcome = (Action.CALL_ALLOWED, "success") if verdict.allowed else (Action.CALL_DENIED, "refused")
    code = "" if verdict.allowed else verdict.code.value
    behalf = Principal("person", call.person) if call.person else None
    with transaction.atomic(), acting(on_behalf_of=behalf):
        return log.record(action, by=grant.agent.principal, about=links, outcome=outcome, code=code, detail=detail)


def pages(client: str = "expense-bot") -> dict[str, list[str]]:
    """Return the addresses of the pages that explain decisions, by the names of the pages."""
    ana, grant = Person.objects.get(login="ana"), Grant.objects.filter(agent__slug="expense-bot").get()
    tools = sorted(line.tool.name for line in grant.lines.select_related("tool"))
    events = [decided(grant, client, tool) for tool in tools for _ in range(4)]
    denied = decided(grant, client, "no_such_tool")
    change = {"kind": "grant", "grant": str(grant.pk), "revoke": True}
    done = what_if.begin(change, 7, by=callers.of(ana))
    while what_if.advance(done.pk):
        pass
    waits = what_if.begin({**change, "revoke": False, "tools": tools[:1]}, 30, by=callers.of(ana))
    when = {"agent_kind": ["personal", "shared"], "risk": "low", "time": {"days": ["sat", "sun"], "zone": "UTC"}}
    rule = {"kind": "guardrail", "name": "No weekends", "effect": "step_up", "max_age": "PT15M", "when": when}
    ruled = what_if.begin(rule, 90, by=callers.of(ana))
    by = [
        {"agent": f"agent-{n:03}", "tool": f"erp/pay_{n % 7}", "code": "guardrail", "calls": 1200 - n}
        for n in range(120)
    ]
    people = [{"person": f"person-{n:03}", "calls": 500 - n} for n in range(120)]
    counts = {"calls": 48_210, "denied": 1312, "denied_anyway": 12, "unknown": 204, "unseen": ["crm"]}
    WhatIf.objects.filter(pk=ruled.pk).update(
        finished_at=clock.now(), read_days=90,
        result={**counts, "by": by, "people": people, "named": {"agents": 120, "tools": 7, "people": 120}},
    )  # fmt: skip
    past = clock.now() - timedelta(minutes=1)
    tool = f"{grant.entitlement.system.slug}/{tools[0]}"
    return {
        "why": [f"/decisions/why/?evaluation={each.uuid}" for each in (events[0], denied)],
        "who-can": [
            "/decisions/who-can/",
            f"/decisions/who-can/?tool={tool}&agent={grant.agent.slug}",
            f"/decisions/who-can/?tool={tool}&at={past:%Y-%m-%dT%H:%M:%S}",
            f"/decisions/who-can/?entitlement={grant.entitlement.scope}",
        ],
        "what-if-list": ["/decisions/what-if/"],
        "what-if-page": [f"/decisions/what-if/{each.pk}/" for each in (done, waits, ruled)],
        "what-if-grant": [f"/decisions/what-if/grants/{grant.pk}/"],
        **answered.pages(),
    }
