"""The life of agents and of their clients: not in use before, ended for good, put away when nobody uses them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import override_settings

from audit import clock
from audit.context import SYSTEM
from audit.export import timeline
from entitlements import tasks
from entitlements.agents import agents, lifecycle
from entitlements.agents.models import Agent
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import facts
from entitlements.grants.models import Grant
from entitlements.tokens.models import IssuedToken
from governance.approvals import approvals
from governance.eligibility import eligibility
from governance.notices import listener
from governance.notices.models import Notice
from tests import make
from tests.entitlements.api import client as api
from tests.governance import companies

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
type At = Callable[[datetime | timedelta], datetime]


def _told(kind: str, key: str) -> list[str]:
    return [event.action for event in timeline.of(kind, key) if event.outcome == "success"]


def _register(**given: Any) -> Agent:  # noqa: ANN401 - what differs
    said = {"name": "Bot", "kind": "shared", "sponsor": make.person(), "owner": None, "purpose": "Books travel."}
    return agents.register("bot", **{**said, **given}, by=SYSTEM)


def _restaged(agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(status=Agent.Status.STAGED, activated_at=None)


# ------------------------------------------------------------------------------------------------------- staged


def test_nothing_is_asked_for_or_approved_for_an_agent_that_is_not_in_use() -> None:
    company = companies.found()
    asked = company.ask("now")
    _restaged(company.bot)
    with pytest.raises(eligibility.AgentStaged):
        approvals.approve(asked.pk, by=company.sofia)
    with pytest.raises(eligibility.AgentStaged):
        company.ask("convert")
    assert not Grant.objects.exists()
    found = facts.load(company.bot.slug, company.system.slug)
    assert found is not None
    assert found.status == "staged"


def test_only_its_sponsor_puts_an_agent_into_use() -> None:
    ana, sofia = make.analyst("ana"), make.person("sofia")
    body = {"slug": "bot", "name": "Bot", "kind": "shared", "sponsor": "sofia", "purpose": "Books.", "staged": True}
    made = api.of(ana).post("/api/v1/agents", body)
    assert (made.status_code, made.json()["status"], made.json()["activated_at"]) == (201, "staged", None)
    said = {"reason": "It is mine."}
    assert api.of(ana).post("/api/v1/agents/bot/activate", said).status_code == 403
    assert api.of(sofia).post("/api/v1/agents/bot/activate", said).json()["status"] == "active"
    assert api.of(sofia).post("/api/v1/agents/bot/activate", said).json()["code"] == "agent_in_wrong_state"
    assert _told("agent", "bot") == ["agent.registered", "agent.activated"]


def test_stopping_and_starting_does_not_put_an_agent_into_use() -> None:
    bot = _register(staged=True)
    agents.suspend(bot, by=SYSTEM, reason="wait")
    assert agents.restore(bot, by=SYSTEM, reason="go on").status == Agent.Status.STAGED
    with pytest.raises(IntegrityError, match="an_agent_in_use_was_put_into_use"), transaction.atomic():
        Agent.objects.update(status=Agent.Status.ACTIVE)


def test_what_holds_access_of_high_risk_needs_two_who_answer_before_it_is_in_use() -> None:
    bot, system = _register(staged=True), make.system()
    make.grant(bot, make.entitlement(system, make.tool(system, risk="high")), people=[make.person()])
    with pytest.raises(agents.TwoMustAnswer):
        agents.activate(bot, by=SYSTEM, reason="accepted")
    Agent.objects.update(backup=make.person())
    assert agents.activate(bot, by=SYSTEM, reason="accepted").status == Agent.Status.ACTIVE


# ------------------------------------------------------------------------------------------------------ retired


def test_retiring_ends_grants_and_clients_with_it_for_good() -> None:
    bot = make.agent("bot")
    grant, (client, _) = make.grant(bot), make.client(bot)
    other = make.grant(make.agent("other"))
    agents.retire(bot, by=SYSTEM, reason="no longer needed")
    for row in (grant, other, client):
        row.refresh_from_db()
    assert (grant.state, other.state, client.status) == ("revoked", "active", "disabled")
    assert _told("agent", "bot")[-3:] == ["client.disabled", "grant.revoked", "agent.retired"]
    with pytest.raises(clients.AgentRetired):
        clients.enable(client, by=SYSTEM, reason="again")
    with pytest.raises(clients.AgentRetired):
        make.client(bot)
    with pytest.raises(IntegrityError, match="retired for good"), transaction.atomic():
        Agent.objects.filter(pk=bot.pk).update(status=Agent.Status.ACTIVE)


# -------------------------------------------------------------------------------------------------------- kinds


def test_a_kind_that_is_not_allowed_is_not_registered_any_more() -> None:
    resa, ana, admin = make.security("resa"), make.analyst("ana"), make.person("adam", roles=["admin"])
    said = {"allowed": False, "reason": "Nobody watches it."}
    assert api.of(ana).put("/api/v1/agent-kinds/service", said).status_code == 403
    assert api.proven(resa).put("/api/v1/agent-kinds/service", said).json()["allowed"] is False
    assert api.proven(resa).put("/api/v1/agent-kinds/robots", said).status_code == 404
    listed = api.of(ana).get("/api/v1/agent-kinds").json()["results"]
    assert [each["kind"] for each in listed if not each["allowed"]] == ["service"]
    with pytest.raises(agents.KindNotAllowed):
        _register(kind="service")
    assert api.proven(admin).put("/api/v1/agent-kinds/service", {**said, "allowed": True}).status_code == 200
    assert _register(kind="service").pk


def test_an_agent_says_what_it_is_for() -> None:
    with pytest.raises(agents.PurposeRequired):
        _register(purpose="  ")


def test_an_ephemeral_agent_ends_within_a_day_and_nothing_else_does() -> None:
    now = clock.now()
    for kind, hours in [("ephemeral", None), ("ephemeral", 0), ("ephemeral", 25), ("shared", 1)]:
        ends = None if hours is None else now + timedelta(hours=hours)
        with pytest.raises(agents.EndRefused):
            _register(kind=kind, ends_at=ends)
    bot = _register(kind="ephemeral", ends_at=now + timedelta(hours=23))
    for wrong in ({"ends_at": None}, {"kind": "shared"}):
        with pytest.raises(IntegrityError, match="an_ephemeral_agent_has_an_end_and_no_other"), transaction.atomic():
            Agent.objects.filter(pk=bot.pk).update(**wrong)


def test_an_ephemeral_agent_is_refused_from_its_end_on_and_then_retired(at: At) -> None:
    bot, system = make.agent("bot", kind="ephemeral"), make.system("time")
    grant = make.grant(bot, make.entitlement(system), people=[make.person()])
    assert bot.ends_at is not None
    tasks.end_agents()
    found = facts.load("bot", "time")
    assert found is not None
    assert found.agent_until == pytest.approx(bot.ends_at.timestamp(), abs=0.001)
    at(bot.ends_at)
    tasks.end_agents()
    for row in (bot, grant):
        row.refresh_from_db()
    assert (bot.status, grant.state) == ("retired", "revoked")


# ------------------------------------------------------------------------------------------------ unused clients


def _days(at: At, client: Client, days: float) -> tuple[str, str]:
    at(client.created + timedelta(days=days))
    tasks.look_after_clients()
    tasks.look_after_clients()
    found = Client.objects.get(pk=client.pk)
    return found.idle, found.status


def test_a_client_that_nobody_uses_is_hidden_closed_and_put_away(at: At) -> None:
    client, _ = make.client(make.agent("bot"), "c")
    steps = [(29, ""), (31, "hidden"), (89, "hidden"), (92, "closed"), (180, "closed"), (183, "deleted")]
    for days, idle in steps:
        assert _days(at, client, days) == (idle, "disabled" if idle in ("closed", "deleted") else "active"), days
    assert _told("client", "c") == ["client.registered", "client.hidden", "client.closed", "client.deleted"]
    with pytest.raises(clients.PutAway):
        clients.enable(client, by=SYSTEM, reason="again")
    with pytest.raises(IntegrityError, match="closed_is_disabled"), transaction.atomic():
        Client.objects.update(status="active")


def test_its_sponsor_and_owner_are_told_before_a_client_is_closed_and_then(at: At) -> None:
    bot = make.agent("bot", owner=make.person("otto"))
    client, _ = make.client(bot, "c")
    for days in (31, 92, 183):
        _days(at, client, days)
    for event in timeline.of("client", "c"):
        listener.notify(event)
    told = list(Notice.objects.exclude(kind="credential").order_by("made_at").values_list("person__login", "sentence"))
    assert {login for login, _sentence in told} == {"otto", bot.sponsor.login}
    assert len(told) == 4
    assert any("In 60 days it gets no token" in sentence for _login, sentence in told)


def test_nothing_is_closed_that_was_not_hidden_long_enough(at: At) -> None:
    client, _ = make.client(make.agent("bot"))
    assert _days(at, client, 400) == ("hidden", "active")
    assert _days(at, client, 459) == ("hidden", "active")
    assert _days(at, client, 461) == ("closed", "disabled")


def test_a_use_brings_back_what_is_hidden_and_a_person_what_is_closed(at: At) -> None:
    bot = make.agent("bot")
    client, _ = make.client(bot)
    assert _days(at, client, 31) == ("hidden", "active")
    now = clock.now()
    IssuedToken.objects.create(
        kind="access_token",
        system=make.system(),
        client=client,
        agent=bot,
        issued_at=now,
        expires_at=now + MINUTE,
    )
    assert _days(at, client, 32) == ("", "active")
    assert _days(at, client, 122) == ("hidden", "active")
    assert _days(at, client, 190) == ("closed", "disabled")
    clients.enable(client, by=SYSTEM, reason="It runs again.")
    assert _days(at, client, 191) == ("", "active")
    assert _days(at, client, 221) == ("hidden", "active")


@override_settings(CLIENT_IDLE_AFTER={step: timedelta(days=n) for n, step in enumerate(("hide", "close", "delete"), 1)})
def test_what_a_person_disabled_is_left_alone(at: At) -> None:
    client, _ = make.client(make.agent("bot"))
    clients.disable(client, by=SYSTEM, reason="no")
    assert _days(at, client, 9) == ("", "disabled")
    assert lifecycle.advance_idle_clients() == 0


# ----------------------------------------------------------------------------------------------------- versions


def test_what_an_agent_runs_is_reported_by_its_owner_or_itself_and_a_change_is_an_event() -> None:
    owner, address = make.person("otto"), "/api/v1/agents/bot/versions"
    bot = make.agent("bot", owner=owner)
    said = {"model": "opus-4", "prompt_sha256": "a" * 64, "source": "ci"}
    assert api.of(owner).post(address, said).status_code == 201
    assert api.of(owner).post(address, said).status_code == 200
    assert api.of(owner).post(address, {**said, "prompt_sha256": "b" * 64}).status_code == 201
    assert api.of(bot.sponsor).post(address, said).status_code == 403
    assert api.of(make.person()).post(address, said).status_code == 404
    assert api.of(owner).post(address, {**said, "prompt_sha256": "B" * 64}).json()["code"] == "agent_version_malformed"
    seen = api.of(bot.sponsor).get(address).json()["results"]
    assert [each["prompt_sha256"][0] for each in seen] == ["b", "a"]
    assert _told("agent", "bot") == ["agent.registered", "agent.version_reported", "agent.version_reported"]
