"""Decoys, planted as people of security plant them."""

from __future__ import annotations

from typing import Any

from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.decoys import decoys
from entitlements.decoys.models import Decoy
from entitlements.people.models import Person
from tests import make

ANSWER = "Internal error. Try again later."


def tool(beside: Tool, *agents: Agent, name: str = "export_all", **more: Any) -> Decoy:  # noqa: ANN401 - its fields
    """Plant a tool for some agents."""
    usual = {"description": "Exports everything.", "answer": ANSWER, "reason": "curiosity", "by": _security()}
    given: dict[str, Any] = {**usual, **more}
    where = f"{beside.system.slug}/{beside.name}"
    return decoys.plant_tool(name, beside=where, agents=[each.slug for each in agents], **given)


def end() -> Decoy:
    """End the one decoy there is."""
    return decoys.end(Decoy.objects.get().pk, by=_security(), reason="over")


def _security() -> Person:
    """Return a person of security, who is made where there is none."""
    return Person.objects.filter(roles__role="security").first() or make.security()
