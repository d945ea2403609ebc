"""Several rows of a list stopped at once: looked at first, each for itself, by the rules of one."""

from __future__ import annotations

from typing import Any

import pytest

from audit.export import timeline
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_ticked_access_is_looked_at_then_paused_or_removed_each_for_itself(company: Company) -> None:
    first, second = (make.grant(company.bot, company.use, people=[each]) for each in (company.alice, company.bob))
    form: dict[str, Any]
    ana, form = visits.as_(company.ana), {"key": [str(first.pk), str(second.pk)]}
    assert visits.text(ana.get("/grants/")).count('form="bulk-grants"') == 2
    looked = ana.post("/stop/several/grant/", form)
    assert (looked.status_code, visits.text(looked).count('name="key"')) == (200, 2)
    assert ana.post("/stop/several/grant/", {**form, "act": "pause", "reason": " "}).status_code == 422
    assert not Grant.objects.exclude(state="active").exists()
    assert "2 of 2 done" in visits.text(ana.post("/stop/several/grant/", {**form, "act": "pause", "reason": "Odd."}))
    assert set(Grant.objects.values_list("state", flat=True)) == {"suspended"}
    form = {"key": [str(first.pk), str(second.pk)], "act": "remove", "reason": "Enough."}
    ana.post("/stop/several/grant/", {**form, "key": [str(first.pk)]})
    partly = visits.text(ana.post("/stop/several/grant/", form))
    assert "1 of 2 done" in partly
    assert "grant_already_ended" in partly
    assert timeline.about(f"grant:{second.pk}").last().reason == "Enough."  # type: ignore[union-attr]


def test_agents_are_stopped_by_whom_the_api_lets_and_nobody_else_finds_them(company: Company) -> None:
    other = make.agent("other")
    sofia, mallory = visits.as_(company.sofia), visits.as_(company.mallory)
    form = {"key": ["research-bot", other.slug], "act": "stop", "reason": "Odd calls."}
    assert visits.text(sofia.get("/agents/")).count('form="bulk-agents"') == 1
    assert mallory.post("/stop/several/agent/", form).status_code == 422
    assert set(Agent.objects.values_list("status", flat=True)) == {"active"}
    assert "1 of 1 done" in visits.text(sofia.post("/stop/several/agent/", form))
    assert dict(Agent.objects.values_list("slug", "status")) == {"research-bot": "suspended", "other": "active"}
    auditor = visits.as_(make.person(roles=["auditor"]))
    assert "bulk-agents" not in visits.text(auditor.get("/agents/"))
    assert "0 of 2 done" in visits.text(auditor.post("/stop/several/agent/", form))
    assert sum(code == "forbidden" for _who, code in visits.refusals()) == 2


@pytest.mark.parametrize(
    ("kind", "keys"), [("grant", ["x"]), ("token", ["x"]), ("agent", [f"a{n}" for n in range(201)])]
)
def test_what_no_list_offers_is_malformed(company: Company, kind: str, keys: list[str]) -> None:
    assert visits.as_(company.ana).post(f"/stop/several/{kind}/", {"key": keys}).status_code == 400
