from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.feed.models import Change
from entitlements.people import people
from entitlements.people.models import Person
from governance import tasks
from governance.ownership import leavers, ownership
from governance.ownership.models import OwnershipProposal
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


def _company() -> Company:
    found = companies.found()
    Person.objects.filter(login__in=["otto", "sofia"]).update(manager=found.mona)
    return found


made_world, company = shared.world(_company)


def _asked(company: Company) -> list[tuple[str, str]]:
    waiting = OwnershipProposal.objects.filter(agent=company.bot, state="waiting")
    return sorted(waiting.values_list("office", "person__login"))


@pytest.mark.parametrize("office", ["sponsor", "owner"])
def test_the_manager_is_asked_to_take_over_and_once(company: Company, office: str) -> None:
    people.disable(getattr(company.bot, office), by=SYSTEM, reason="left")
    assert [leavers.propose_new_owners(), leavers.propose_new_owners()] == [1, 0]
    assert _asked(company) == [(office, "mona")]
    event = timeline.of("agent", "research-bot").filter(action=Action.AGENT_OWNERSHIP_PROPOSED).get()
    left = {"sponsor": "sofia", "owner": "otto"}[office]
    assert (event.actor, event.reason) == (str(SYSTEM), f"{left} has left.")


def test_the_backup_comes_before_the_manager_who_is_asked_when_the_backup_declines(company: Company) -> None:
    Agent.objects.filter(pk=company.bot.pk).update(backup=company.bob)
    people.disable(company.otto, by=SYSTEM, reason="left")
    leavers.propose_new_owners()
    assert _asked(company) == [("owner", "bob")]
    ownership.decline(OwnershipProposal.objects.get().pk, by=company.bob, reason="no time")
    leavers.propose_new_owners()
    assert _asked(company) == [("owner", "mona")]
    ownership.decline(OwnershipProposal.objects.get(state="waiting").pk, by=company.mona, reason="no time")
    assert leavers.propose_new_owners() == 0


def test_whom_nobody_took_over_within_a_week_is_stopped_once(company: Company, at: Callable[[timedelta], Any]) -> None:
    healthy = make.agent("healthy-bot")
    people.disable(company.otto, by=SYSTEM, reason="left")
    at(WEEK - timedelta(minutes=1))
    tasks.look_after_orphans()
    assert Agent.objects.get(pk=company.bot.pk).status == "active"
    at(timedelta(minutes=2))
    tasks.look_after_orphans()
    tasks.look_after_orphans()
    stopped = Agent.objects.get(pk=company.bot.pk)
    assert (stopped.status, Agent.objects.get(pk=healthy.pk).status) == ("suspended", "active")
    assert timeline.of("agent", "research-bot").filter(action=Action.AGENT_SUSPENDED).count() == 1
    assert Change.objects.filter(agent=company.bot, kind="agent").count() == 1


def test_who_takes_over_keeps_it_running_and_who_comes_late_has_it_started_again(
    company: Company, at: Callable[[timedelta], Any]
) -> None:
    people.disable(company.otto, by=SYSTEM, reason="left")
    leavers.propose_new_owners()
    at(WEEK + timedelta(minutes=1))
    leavers.suspend_orphans()
    with pytest.raises(agents.OwnerLeft):
        agents.restore(company.bot, by=company.ana.principal, reason="we need it")
    ownership.accept(OwnershipProposal.objects.get().pk, by=company.mona)
    agents.restore(company.bot, by=company.ana.principal, reason="mona took over")
    assert leavers.suspend_orphans() == 0
    assert Agent.objects.get(pk=company.bot.pk).status == "active"
