"""Adoption and the coverage map by hand: the pages take an analyst and a sponsor through all of it."""

from __future__ import annotations

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from entitlements.unmanaged_agents.models import UnmanagedAgent, Workflow
from governance.onboarding.models import OnboardedAgent, OnboardingBatch
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

TABLE = b"agent,client_id,system,tools,person\n<b>Desk</b> =helper,desk-1,clock,now wipe,alice\n"


made_world, company = shared.world(companies.found)


def test_from_a_file_to_the_governed_path_and_back(company: Company) -> None:
    ana, mona = visits.as_(company.ana), visits.as_(company.mona)
    page = ana.post("/onboarding/add/", {"file": SimpleUploadedFile("access.csv", TABLE), "agent": ""}, follow=True)
    batch, shown = OnboardingBatch.objects.get(), visits.text(page)
    assert "&lt;b&gt;Desk&lt;/b&gt;" in shown
    assert "<b>Desk" not in shown
    assert "Above medium risk." in shown
    assert "alice" in shown
    row = OnboardedAgent.objects.get()
    path = f"/onboarding/{batch.pk}/"
    asked = ana.post(path, {"act": "ask", "reason": "Day 30.", f"sponsor-{row.pk}": "mona"}, follow=True)
    assert "One sponsor answer is asked for." in visits.text(asked)
    assert "You are proposed as sponsor of 1 agent" in visits.text(mona.get(path))
    assert ana.post(path, {"act": "confirm", "reason": "x"}).status_code == 409
    assert "Accepted." in visits.text(mona.post(path, {"act": "accept", "reason": ""}, follow=True))
    assert mona.post(path, {"act": "confirm", "reason": "x"}).status_code == 403
    assert "1 grants" in visits.text(ana.post(path, {"act": "confirm", "reason": "yes"}, follow=True))
    agent = Agent.objects.exclude(slug="research-bot").get()
    flow = f"/coverage/{Workflow.objects.get(agent=agent).pk}/"
    assert "Move to the gateway" in visits.text(ana.get(flow))
    assert "unknown" in visits.text(ana.get(flow))
    assert "uses the gateway from now on" in visits.text(
        ana.post(flow, {"act": "cut-over", "reason": "New address."}, follow=True)
    )
    assert mona.post(flow, {"act": "undo", "reason": "x"}).status_code == 403
    ana.post(flow, {"act": "undo", "reason": "Broken."})
    assert not Grant.objects.filter(ended_at=None).exists()


def test_the_map_says_the_share_first_and_sends_what_one_sees(company: Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    ana = visits.as_(company.ana)
    ana.post("/onboarding/add/", {"file": SimpleUploadedFile("access.csv", TABLE), "agent": ""})
    shown = visits.text(ana.get("/coverage/"))
    assert "50 % of agents visible per call" in shown
    assert "Govern the next gap" in shown
    assert "Systems with two paths that differ" in shown
    rows = list(csv.DictReader(io.StringIO(ana.get("/coverage/map.csv?path=known").content.decode())))
    assert [(row["seen_as"], row["token_seconds"], row["usage_grade"]) for row in rows] == [
        ("<b>Desk</b> =helper", "unknown", "C")
    ]
    assert "100 % of agents visible per call" in visits.text(visits.as_(company.sofia).get("/coverage/"))
    assert visits.as_(company.sofia).get(f"/coverage/{Workflow.objects.get(agent=None).pk}/").status_code == 404
    number = Workflow.objects.get(agent=None).pk
    said = {
        "act": "describe",
        "token_seconds": "60",
        "token_basis": "declared",
        "bypass": "no",
        "reason": "Their page.",
    }
    assert "1 hour" in visits.text(ana.post(f"/coverage/{number}/", said, follow=True))


def test_what_was_seen_is_decided_on_its_page(company: Company) -> None:
    ana = visits.as_(company.ana)
    ana.post("/onboarding/add/", {"file": SimpleUploadedFile("access.csv", TABLE), "agent": ""})
    seen = UnmanagedAgent.objects.get()
    assert "&lt;b&gt;Desk" in visits.text(ana.get("/onboarding/"))
    path = f"/onboarding/seen/{seen.pk}/"
    assert visits.as_(company.sofia).post(path, {"act": "block", "reason": "x"}).status_code == 403
    ana.post(path, {"act": "block", "reason": "Not allowed."})
    assert "Not allowed." in visits.text(ana.get("/onboarding/?state=blocked"))
    assert ana.post(path, {"act": "unblock", "reason": "x"}).status_code == 403
