"""Ticket references: where they are asked for, what is refused, and where they are found again."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from audit import clock
from audit.export import timeline
from audit.models import Event
from entitlements.access.reauthentication import HEADER
from entitlements.errors import Forbidden, ReasonRequired
from entitlements.people.models import Person
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from governance.break_glass.models import BreakGlassGrant
from governance.requests.models import AccessRequest
from governance.reviews.pack_tables import period
from governance.sod import policies as sod_policies
from governance.sod.models import SodException, SodPolicy
from governance.tickets import tickets
from governance.tickets.models import TicketPolicy
from tests import make, second_factor, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

PATTERNS = [
    {"name": "Jira", "expression": r"[A-Z][A-Z0-9]+-\d+", "link": "https://jira.example.com/browse/{ticket}"},
    {"name": "GitHub", "expression": r"[a-z]+/[a-z]+#\d+", "link": "https://hub.example/?q={ticket}"},
]
ALL = ("request", "sod_exception", "break_glass", "revocation")
REQUEST = {
    "agent": "research-bot",
    "entitlement": "clock:use",
    "people": ["alice"],
    "tools": ["now"],
    "lasts": "PT8H",
    "reason": "the quarterly report",
}


made_world, company = shared.world(companies.found)


def asked_for(need: str) -> None:
    admin = make.person("tara", roles=["admin"])
    tickets.change(PATTERNS, dict.fromkeys(ALL, need), by=admin, reason="ITSM.")


def rule(company: Company) -> SodPolicy:
    """Put a rule in force that the agent could break."""
    sides = [{"tools": ["clock/now"]}, {"tools": ["clock/convert"]}]
    made = sod_policies.propose("pair", sentence="Both.", sides=sides, by=company.ana, reason="Both are too much.")
    return sod_policies.KIND.confirm(made.pk, by=company.rob, reason="Yes.")


def post(company: Company, what: str, **ticket: str) -> Any:  # noqa: ANN401 - a response of the test client
    """Do over REST what may name a ticket."""
    resa = client.proven(company.resa)
    if what == "request":
        return client.of(company.otto).post("/api/v1/requests", {**REQUEST, **ticket}, format="json")
    if what == "break_glass":
        given = {**REQUEST, "lasts": "PT20M", **ticket}
        if "SEC-12" not in ticket.get("ticket", ""):
            return resa.post("/api/v1/break-glass-grants", given, format="json")
        code = second_factor.code(second_factor.given_to(company.resa))
        return client.of(company.resa).post("/api/v1/break-glass-grants", given, format="json", headers={HEADER: code})
    if what == "sod_exception":
        of_rule = SodPolicy.objects.first() or rule(company)
        until = (clock.now() + timedelta(days=30)).isoformat()
        given = {"rule": str(of_rule.pk), "agent": "research-bot", "control": "By hand.", "expires_at": until}
        return resa.post("/api/v1/sod-exceptions", {**given, "reason": "Quarter end.", **ticket}, format="json")
    target = {"type": "agent", "id": "research-bot"}
    return resa.post(
        "/api/v1/revocations", {"target": target, "reason": "Odd.", "wait": False, **ticket}, format="json"
    )


@pytest.mark.parametrize("what", ALL)
def test_a_required_ticket_is_asked_for_checked_kept_and_found_again(company: Company, what: str) -> None:
    asked_for("required")
    missing, foreign = post(company, what), post(company, what, ticket="ticket 7")
    assert (missing.status_code, missing.json()["code"]) == (422, "ticket_missing")
    assert (foreign.status_code, foreign.json()["code"]) == (422, "ticket_not_recognised")
    made = post(company, what, ticket=" SEC-12 ")
    assert (made.status_code, made.json()["ticket"]) == (201, "SEC-12")
    (event, *_) = timeline.about("ticket:SEC-12")
    assert event.detail["ticket"] == "SEC-12"
    (row,) = (row for row in period.tickets(Event.objects.all()) if row["ticket"])
    assert (row["ticket"], row["event"]) == ("SEC-12", str(event.uuid))


def test_the_evidence_lists_what_had_no_ticket_too(company: Company) -> None:
    assert post(company, "request").status_code == 201
    submitted = Event.objects.filter(action="request.submitted")
    assert [row["ticket"] for row in period.tickets(submitted)] == [""]


def test_by_default_no_ticket_is_asked_for_and_none_is_taken(company: Company) -> None:
    assert post(company, "request").json()["ticket"] == ""
    assert post(company, "request", ticket="SEC-1").json()["code"] == "ticket_not_recognised"
    assert 'name="ticket"' not in visits.text(visits.as_(company.otto).get(ASK))


@pytest.mark.parametrize("what", ALL)
def test_a_list_is_filtered_by_ticket(company: Company, what: str) -> None:
    asked_for("optional")
    assert post(company, what, ticket="SEC-12").status_code == 201
    address = {
        "request": "/api/v1/requests",
        "break_glass": "/api/v1/break-glass-grants",
        "sod_exception": "/api/v1/sod-exceptions",
        "revocation": "/api/v1/revocations",
    }[what]
    ana = client.of(company.ana)
    assert len(ana.get(f"{address}?ticket=SEC-12").json()["results"]) == 1
    assert ana.get(f"{address}?ticket=SEC-1").json()["results"] == []


def test_the_kill_switch_never_waits_for_a_ticket(company: Company) -> None:
    asked_for("required")
    everything = Target("everything", "everything")
    stopped = revocation.revoke(everything, by=company.resa.principal, reason="Odd.", wait=False)
    assert stopped.ticket == ""
    with pytest.raises(tickets.TicketMissing):
        revocation.revoke(Target("agent", "research-bot"), by=company.resa.principal, reason="Odd.", wait=False)


def test_what_repeats_a_request_keeps_its_ticket_while_it_is_recognised(company: Company) -> None:
    asked_for("required")
    otto = client.of(company.otto)
    first = post(company, "request", ticket="SEC-12").json()
    assert otto.post(f"/api/v1/requests/{first['id']}/cancel", {}, format="json").status_code == 200
    again = otto.post(f"/api/v1/requests/{first['id']}/again", {"reason": "still"}, format="json").json()
    assert again["ticket"] == "SEC-12"
    assert otto.post(f"/api/v1/requests/{again['id']}/cancel", {}, format="json").status_code == 200
    other = {"reason": "still", "ticket": "OPS-3"}
    assert otto.post(f"/api/v1/requests/{again['id']}/again", other, format="json").json()["ticket"] == "OPS-3"
    tickets.change(PATTERNS[1:], {"request": "required"}, by=company.named("tara"), reason="No Jira.")
    lost = otto.post(f"/api/v1/requests/{first['id']}/again", {"reason": "still"}, format="json").json()
    assert lost["code"] == "ticket_missing"


ASK = "/requests/new/?agent=research-bot&entitlement=clock:use"


def proven(person: Person) -> Client:
    """Return a browser in which somebody showed their second factor a moment ago."""
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={})
    browser = visits.as_(person)
    session = browser.session
    session["account_authentication_methods"] = [{"method": "mfa", "at": time.time()}]
    session["visit_began"] = session["visit_seen"] = int(time.time())
    session.save()
    return browser


def test_the_console_asks_for_a_ticket_and_links_it(company: Company) -> None:
    asked_for("required")
    otto, resa = visits.as_(company.otto), proven(company.resa)
    form = {
        "agent": "research-bot",
        "entitlement": "clock:use",
        "people": "alice",
        "tool": "now",
        "lasts": "3600",
        "reason": "<b>why</b>",
    }
    assert 'name="ticket"' in visits.text(otto.get(ASK))
    refused = otto.post("/requests/new/", {**form, "ticket": '"><b>'})
    assert refused.status_code == 422
    assert "ticket_not_recognised" in visits.text(refused)
    assert "&quot;&gt;&lt;b&gt;" in visits.text(refused)
    link = 'href="https://hub.example/?q=acme%2Fdesk%237" rel="noopener noreferrer"'
    request_page = visits.text(otto.post("/requests/new/", {**form, "ticket": "acme/desk#7"}, follow=True))
    assert link in request_page
    listed = visits.text(otto.get("/requests/?q=desk%237"))
    assert "research-bot" in listed
    for query, count in (("any", 1), ("none", 0)):
        found = visits.text(otto.get(f"/requests/?ticket={query}"))
        assert (f"/requests/{AccessRequest.objects.get().pk}/" in found) == bool(count), query
    given = resa.post("/break-glass/declare/", {**form, "lasts": "1800", "ticket": "acme/desk#7"}, follow=True)
    assert link in visits.text(given)
    grant = BreakGlassGrant.objects.get().grant
    assert link in visits.text(resa.get(f"/grants/{grant.pk}/"))
    of_rule = rule(company)
    said = {"agent": "research-bot", "control": "By hand.", "days": "3", "reason": "Yes.", "ticket": "acme/desk#7"}
    assert link in visits.text(resa.post(f"/sod-policies/{of_rule.pk}/except/", said, follow=True))
    assert SodException.objects.get().ticket == "acme/desk#7"
    stop = f"/stop/grant/{grant.pk}/"
    assert 'name="ticket"' in visits.text(resa.get(stop))
    assert "ticket_missing" in visits.text(resa.post(stop, {"reason": "Over."}))


def test_settings_that_could_not_be_used_are_refused(company: Company) -> None:
    admin = make.person("tara", roles=["admin"])
    slow = [{**PATTERNS[0], "expression": "(a+)+"}]
    script = [{**PATTERNS[0], "link": "javascript:alert('{ticket}')"}]
    for patterns, needs in (
        (slow, {}),
        (script, {}),
        ([*PATTERNS, PATTERNS[0]], {}),
        ([{**PATTERNS[0], "name": " "}], {}),
        ([], {"request": "required"}),
        (PATTERNS, {"request": "sometimes"}),
        ([{**PATTERNS[0], "name": f"T{n}"} for n in range(6)], {}),
    ):
        with pytest.raises(tickets.TicketPolicyUnusable):
            tickets.change(patterns, needs, by=admin, reason="ITSM.")
    with pytest.raises(ReasonRequired):
        tickets.change(PATTERNS, {}, by=admin, reason=" ")
    with pytest.raises(Forbidden):
        tickets.change(PATTERNS, {}, by=company.resa, reason="ITSM.")
    assert not TicketPolicy.objects.exists()


def test_the_settings_change_over_rest_with_a_proof_and_an_event() -> None:
    admin = make.person("tara", roles=["admin"])
    body = {"patterns": PATTERNS, "needs": {"request": "required"}, "reason": "ITSM."}
    path = "/api/v1/ticket-policies"
    assert client.of(admin).post(path, body, format="json").json()["code"] == "reauthentication_required"
    made = client.proven(admin).post(path, body, format="json")
    assert (made.status_code, made.json()["number"], made.json()["needs"]["revocation"]) == (201, 1, "never")
    assert client.proven(make.security("sid")).post(path, body, format="json").status_code == 403
    (listed,) = client.of(admin).get(path).json()["results"]
    assert (listed["patterns"], listed["made_by"]) == (PATTERNS, "tara")
    (event,) = Event.objects.filter(action="ticket_policy.changed")
    assert (event.actor, event.reason, event.detail["needs"]["request"]) == ("person:tara", "ITSM.", "required")


def test_the_settings_change_in_the_console() -> None:
    tara, ana = visits.as_(make.person("tara", roles=["admin"])), visits.as_(make.analyst("anna"))
    here = "/settings/tickets/"
    form = {f"{name}_0": value for name, value in PATTERNS[0].items()} | dict.fromkeys(ALL, "optional")
    assert "No ticket references" in visits.text(ana.get(here))
    wrong = visits.text(tara.post(here, {**form, "expression_0": "(a+)+", "reason": "ITSM."}))
    assert "ticket_policy_unusable" in wrong
    assert "Saved. The settings are in force." in visits.text(tara.post(here, {**form, "reason": "ITSM."}, follow=True))
    assert tickets.current().need("revocation") == "optional"
    assert "https://jira.example.com/browse/{ticket}" in visits.text(ana.get(here))
    assert ana.post(here, {**form, "reason": "ITSM."}).status_code == 403
    tara.post(here, {**dict.fromkeys(ALL, "never"), "name_0": "", "reason": "No more."})
    assert tickets.current().patterns == ()
