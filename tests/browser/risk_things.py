"""What the gallery shows of sessions, risk, drift, decoys, budgets and streams of events."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from audit import clock, log
from audit.actions import Action as AuditAction
from entitlements.agents.models import Agent
from entitlements.authentication import MULTI_FACTOR
from entitlements.budgets import budgets as counting
from entitlements.budgets.models import BudgetUse
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.decoys import decoys as planting
from entitlements.drift.models import AgentHour
from entitlements.event_streams import poll_settings, profile, receivers, streams
from entitlements.event_streams.models import EventStream, StreamEvent
from entitlements.people.models import Person
from entitlements.risk import response_policy, risk
from entitlements.risk.rules import Kind as RiskKind
from entitlements.risk.subject import RiskSubject
from entitlements.session_policies import proposals as policies
from entitlements.sessions import sessions as agent_sessions
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.words import Risk
from governance.decoys import follow
from tests import begun


def session_policies() -> str:
    """Have one session policy in force and another proposed; return the address of their page."""
    ana, hour = Person.objects.get(login="ana"), timedelta(hours=1)
    terms: dict[str, Any] = {"idle": hour / 2, "absolute": 8 * hour, "reason": "Risk has changed."}
    agreed = policies.propose("everyone", by=ana, **terms)
    policies.KIND.confirm(agreed.pk, by=Person.objects.get(login="resa"))
    policies.propose("high-risk", by=ana, risk="high", max_age=4 * hour, acr=["phr"], amr=["pop"], **terms)
    return "/settings/session-policies/"


def risk_signals(agent: str) -> str:
    """Have signals about an agent and a person, one of them decided, and a response in force and one proposed.

    Returns the address of a signal without a decision.
    """
    resa, now = Person.objects.get(login="resa"), clock.now()
    about = [RiskSubject(agent=Agent.objects.get(slug=agent)), RiskSubject(person=Person.objects.get(login="alice"))]
    said = "A refresh token or code was used a second time: it, or its first use, was stolen."
    what = RiskKind.REFRESH_REUSE, Risk.MEDIUM, "detector:refresh-reuse", said, now
    noted = [risk.note(each, risk.NewSignal(*what, f"shown {n}")) for n, each in enumerate([*about, about[0]])]
    decided, _, waiting = (row for row in noted if row is not None)
    risk.dismiss(decided.pk, by=resa, reason="It was our own test.")
    given = {"response": "step_up", "mode": "enforce", "reason": "We watched it for a month."}
    agreed = response_policy.propose("session_revoked", by=resa, **given)
    response_policy.KIND.confirm(agreed.pk, by=Person.objects.get(login="admin"))
    response_policy.propose("refresh_reuse", by=resa, **{**given, "response": "revoke"})
    return f"/risk-signals/{waiting.pk}/"


def drift(agent: str) -> str:
    """Have an agent with a history that it left; return the address of the replay that finds it."""
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    bot = Agent.objects.get(slug=agent)
    calls = dict.fromkeys(range(1, 28), 20) | {2: 400}
    AgentHour.objects.bulk_create(
        AgentHour(agent=bot, hour=now - timedelta(days=n), tool_class="read internal", calls=count)
        for n, count in calls.items()
    )
    return "/risk-signals/drift/volume-drift/"


def decoys(agent: str, beside: str) -> list[str]:
    """Have a tool that an agent touched; return the addresses of the list, of it, and of the form."""
    found, resa = Agent.objects.get(slug=agent), Person.objects.get(login="resa")
    given: dict[str, Any] = {
        "beside": beside,
        "description": "Exports the salaries of all people.",
        "answer": "Internal error.",
    }
    tool = planting.plant_tool("export_all_salaries", agents=[agent], by=resa, reason="Nothing needs it.", **given)
    said = {"door": "gateway", "method": "tools/call", "tool": tool.name}
    with transaction.atomic():
        about = [f"decoy:{tool.pk}"]
        log.record(AuditAction.DECOY_TOUCHED, by=found.principal, about=about, outcome="failure", detail=said)
    follow.follow_touches()
    return ["/decoys/", f"/decoys/{tool.pk}/", "/decoys/plant/"]


def budgets(agent: str, system: str) -> list[str]:
    """Have a budget of an agent, nearly taken, and one of a system that ended; return their pages, and the form."""
    ana = Person.objects.get(login="ana")
    day = timedelta(days=1)
    calls = counting.set_budget(counting.What("calls", Decimal(1000), day), by=ana, agent=agent, reason="A usual day.")
    BudgetUse.objects.filter(budget=calls).update(taken=920)
    paid = counting.What("bytes", Decimal(10**9), None, largest_answer=Decimal(10**6))
    ended = counting.set_budget(paid, by=ana, system=system, reason="One export.")
    counting.end(ended.pk, by=ana, reason="The export is done.")
    return [f"/budgets/{calls.pk}/", f"/budgets/{ended.pk}/", f"/budgets/set/?agent={agent}"]


def event_streams() -> str:
    """Have a receiver with a stream in which something happened, and a stream that is polled.

    Returns the page of the first.
    """
    ada = Person.objects.get(login="admin")
    given = {"audience": "https://caep.partner.example", "push_host": "caep.partner.example", "subject_format": "email"}
    receiver = receivers.register("partner", by=ada, reason="They end sessions when we do.", **given).receiver
    terms = streams.Terms("push", "https://caep.partner.example/events", "Bearer x", profile.SUPPORTED, "Production")
    stream = streams.create(receiver, terms)
    for number, (kind, state) in enumerate(zip(profile.SUPPORTED, ("waiting", "taken", "refused") * 2, strict=True)):
        done, said = (None, "") if state == "waiting" else (clock.now(), "202" if state == "taken" else "invalid_key")
        moved = {"state": state, "done_at": done, "answer": said, "made_at": clock.now()}
        StreamEvent.objects.create(stream=stream, jti=f"shown-{number}", type=kind, claims={}, **moved)
    EventStream.objects.filter(pk=stream.pk).update(
        failures=2, failing_since=clock.now(), retry_at=clock.now(), problem="The receiver answered 503."
    )
    streams.create(receiver, streams.Terms(events=profile.SUPPORTED[:2]))
    issuer = TrustedIssuer.objects.create(
        issuer="https://signals.example.org", purpose="signals", sends_signals=True, jwks={"keys": []}
    )
    where = {"endpoint_url": "https://signals.example.org/poll", "secret": "a-sample-of-a-token"}
    poll_settings.set_poll(issuer.issuer, by=ada, reason="They cannot push.", **where)
    return f"/settings/event-streams/{stream.pk}/"


def sessions(slug: str) -> list[str]:
    """Have a session of an agent for alice that a risk signal holds, under policies, and an ended one of no sign-in."""
    agent, alice, now = Agent.objects.get(slug=slug), Person.objects.get(login="alice"), clock.now()
    client = Client.objects.filter(agent=agent)[0]
    with transaction.atomic():
        rows = [begun.begin(client, alice, digit * 64, auth_time=now, now=now)[0] for digit in "89"]
    held, ended = rows
    held.acr, held.amr, held.signed_in_at = MULTI_FACTOR, "pwd otp mfa", now - timedelta(minutes=50)
    held.save(update_fields=["acr", "amr", "signed_in_at"])
    made = {"kind": "access_token", "issued_at": now, "expires_at": now + timedelta(minutes=5), "scope": "git:use"}
    named = {"client": client, "agent": agent, "person": alice, "session": held}
    IssuedToken.objects.create(system=System.objects.get(slug="git"), **made, **named)
    resa, given = Person.objects.get(login="resa"), {"response": "hold", "mode": "enforce", "reason": "We look first."}
    agreed = response_policy.propose("device_compliance_change", by=resa, **given)
    response_policy.KIND.confirm(agreed.pk, by=Person.objects.get(login="admin"))
    said = "The device of the session is not compliant any more."
    what = RiskKind.DEVICE_COMPLIANCE_CHANGE, Risk.MEDIUM, "issuer:https://idp.example.com", said, now
    risk.note(RiskSubject(session=held), risk.NewSignal(*what, "shown of a session"))
    agent_sessions.end(ended.pk, by=resa.principal, reason="The laptop was lost.")
    return [f"/sessions/{held.pk}/", f"/sessions/{ended.pk}/"]
