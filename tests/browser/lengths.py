"""What is longer than anybody planned for: names, sentences, and a system with thirty tools."""

from __future__ import annotations

from collections.abc import Mapping

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System
from entitlements.keys import signing
from entitlements.people.models import Person
from tests import make


def fill(everybody: Mapping[str, Person]) -> None:
    """Make it in the company of these people."""
    made = make.system("warehouse-management", owner=everybody["sam"])
    name = "Warehouse management for Northern and Central Europe, including returns and repairs"
    System.objects.filter(pk=made.pk).update(name=name, discovered_at=clock.now())
    signing.ensure("as/warehouse-management")
    tools = [
        make.tool(
            made,
            f"move_a_pallet_between_two_racks_of_the_same_warehouse_{number}",
            sentence="Moves a pallet to another rack, tells the driver, and books the move for the day's report.",
            action=("read", "write", "delete")[number % 3],
            risk=("low", "medium", "high")[number % 3],
        )
        for number in range(30)
    ]
    offer = make.entitlement(made, *tools, scope="warehouse-management:everything-that-a-shift-leader-does")
    Entitlement.objects.filter(pk=offer.pk).update(name="Everything that a shift leader does on an ordinary day")
    bot = make.agent("warehouse-night-shift-helper", sponsor=everybody["sofia"], owner=everybody["otto"])
    title = "Helper of the night shift in the warehouses of Northern and Central Europe (pilot, second phase)"
    Agent.objects.filter(pk=bot.pk).update(name=title, purpose="Moves what the day left where it should not be. " * 6)
    make.grant(Agent.objects.get(pk=bot.pk), offer, people=[everybody["alice"], everybody["bob"]])
