"""Resetting the visit lifts whatever a visitor may have stopped, in the name of somebody who did not."""

from __future__ import annotations

import pytest

from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.clients.models import Client
from entitlements.decisions import guardrails
from entitlements.gateway.models import Guardrail
from entitlements.people.models import Person
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from scripts.demo.site.lift_stops import lift
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)

TARGETS = (
    Target("agent", "travel-bot"),
    Target("client", "travel-bot"),
    Target("tool", "clock/get_current_time"),
    Target("system", "clock"),
    Target("person", "alice"),
    Target("everything", "everything"),
)


@pytest.fixture
def cast() -> dict[str, Person]:
    """The people of the demo that matter here, and the agent of the visit with what it reaches."""
    found = {"ana": make.analyst("ana"), "resa": make.security("resa"), "alice": make.person("alice")}
    holder = make.agent("travel-bot", kind=Agent.Kind.PERSONAL, sponsor=found["alice"])
    make.client(holder, "travel-bot")
    make.tool(make.system("clock"), "get_current_time")
    return found


def stopped() -> list[str]:
    """Name what does not work."""
    return [
        *(each.slug for each in Agent.objects.exclude(status=Agent.Status.ACTIVE)),
        *(each.client_id for each in Client.objects.exclude(status=Client.Status.ACTIVE)),
        *(each.slug for each in System.objects.exclude(status=System.Status.ACTIVE)),
        *(each.name for each in Tool.objects.exclude(state=Tool.State.APPROVED)),
        *(each.login for each in Person.objects.filter(is_active=False)),
        *(each.name for each in Guardrail.objects.filter(name=guardrails.EVERYTHING, on=True)),
    ]


@pytest.mark.parametrize("who", ["ana", "resa"])
def test_all_that_one_person_stopped_works_again_and_lifting_twice_does_nothing_more(
    cast: dict[str, Person], who: str
) -> None:
    for target in TARGETS:
        revocation.revoke(target, by=cast[who].principal, reason="Tried it out.", wait=False)
    assert len(stopped()) == len(TARGETS)

    lift()
    once = Event.objects.count()
    lift()

    assert stopped() == []
    assert Event.objects.count() == once
    assert Revocation.objects.count() == len(TARGETS), "nothing is taken out of the record"
