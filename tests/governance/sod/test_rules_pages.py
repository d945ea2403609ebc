"""SoD policies in the console: propose, see the violations, publish, give an exception, end it."""

from __future__ import annotations

import pytest

from entitlements.people.models import Role
from governance.sod import policies
from governance.sod.models import SodException, SodPolicy
from scripts.demo.data import starter_packs
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_two_people_put_a_starter_in_force_and_security_excepts_an_agent(company: Company) -> None:
    mail = make.system("mail")
    browse = make.tool(mail, "browse", reads_private=True, ingests_untrusted=True, egress_external=True)
    make.grant(company.bot, make.entitlement(mail, browse), people=[company.alice])
    ana, resa = visits.as_(company.ana), visits.as_(company.resa)
    assert "deploy/starter-packs" in ana.get("/sod-policies/").text
    terms = starter_packs.sod_policy("lethal-trifecta")
    rule = policies.propose(**terms, by=company.ana, reason="Too easy.")
    page = f"/sod-policies/{rule.pk}/"
    answer = ana.get(page)
    assert "1 violation" in visits.text(answer)
    assert "Publish" not in visits.text(answer)
    assert ana.post(f"{page}publish/", {"reason": "Mine."}).status_code == 403
    assert "Publish" in visits.text(resa.get(page))
    resa.post(f"{page}publish/", {"reason": "Yes."})
    rule.refresh_from_db()
    assert rule.state == "in_force"
    assert "SoD violation:" in visits.text(ana.get("/agents/research-bot/"))
    form = {"agent": "research-bot", "reason": "Pilot.", "control": "All mail is read first.", "days": "30"}
    assert ana.post(f"{page}except/", form).status_code == 403
    assert resa.post(f"{page}except/", {**form, "days": "181"}).status_code == 400
    assert "All mail is read first." in visits.text(resa.post(f"{page}except/", form, follow=True))
    assert "An exception allows it" in visits.text(ana.get("/agents/research-bot/"))
    given = SodException.objects.get()
    resa.post(f"/exceptions/{given.pk}/end/", {"reason": "Pilot over."})
    given.refresh_from_db()
    assert given.end_reason == "Pilot over."
    off = resa.post("/sod-policies/propose/", {"name": "lethal-trifecta", "reason": "Too strict."}, follow=True)
    assert "off" in visits.text(off)
    assert SodPolicy.objects.get(state="proposed").on is False


def test_publishing_and_excepting_want_a_fresh_proof(company: Company) -> None:
    stale = visits.as_(company.resa, fresh=False)
    rule = policies.propose(**starter_packs.sod_policy("vendor-and-payment"), by=company.ana, reason="Why not.")
    refused = visits.text(stale.post(f"/sod-policies/{rule.pk}/publish/", {"reason": "Yes."}))
    assert "step_up_required" in refused
    rule.refresh_from_db()
    assert rule.state == "proposed"


def test_whoever_sees_no_rules_finds_no_page(company: Company) -> None:
    assert visits.as_(company.mallory).get("/sod-policies/").status_code == 403
    assert visits.as_(make.person(roles=[Role.AUDITOR])).get("/sod-policies/").status_code == 200


def test_the_page_of_a_request_says_which_combination_it_would_complete(company: Company) -> None:
    asked = company.ask("now")
    sides = [{"tools": ["now"], "actions": ["read", "write"]}, {"systems": ["clock"]}]
    rule = policies.propose("pair", sentence="Looks and waits.", sides=sides, by=company.ana, reason="why")
    shown = visits.text(visits.as_(company.resa).get("/sod-policies/"))
    assert "named <strong>now</strong>, that <strong>reads or changes things</strong>" in shown
    assert "Looks and waits." not in visits.text(visits.as_(company.sofia).get(f"/requests/{asked.pk}/"))
    policies.KIND.confirm(rule.pk, by=company.resa, reason="yes")
    page = visits.text(visits.as_(company.sofia).get(f"/requests/{asked.pk}/"))
    assert "Looks and waits." in page
    assert "could use a tool of each side" in page
    answer = visits.as_(company.sofia).post(
        f"/requests/{asked.pk}/", {"verb": "approve", "version": "1", "tool": "now"}
    )
    assert (answer.status_code, "sod_policy_violated" in visits.text(answer)) == (409, True)
