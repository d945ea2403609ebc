"""What the pages do: the verbs of the API, told in plain words, each refusal recorded once."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from audit import clock
from entitlements.catalog import discovery
from entitlements.decisions import guardrails
from entitlements.gateway.models import Guardrail
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import ApiToken
from entitlements.revocation.models import Revocation
from governance.requests.models import AccessRequest
from governance.reviews.population import campaigns
from tests import make
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

HOSTILE = "Pay\u202e\u200b <script>alert(1)</script> =cmd()"


@pytest.fixture
def company() -> companies.Company:
    return companies.found()


def _approve(browser: Client, asked: AccessRequest, **given: Any) -> Any:  # noqa: ANN401 - a form and its answer
    asked.refresh_from_db()
    form = {"verb": "approve", "version": asked.version, "tool": ["now"], **given}
    return browser.post(f"/requests/{asked.pk}/", form)


def test_approving_keeps_what_is_ticked_and_shortens_the_time(company: companies.Company) -> None:
    asked = company.ask("now", "convert")
    response = _approve(visits.as_(company.sofia), asked, lasts=str(3600))
    assert response.status_code == 302
    asked.refresh_from_db()
    assert asked.grant_id
    grant = Grant.objects.get(pk=asked.grant_id)
    assert [line.tool.name for line in grant.lines.all()] == ["now"]
    assert grant.expires_at - grant.starts_at == timedelta(hours=1)


def test_what_changed_since_it_was_read_is_not_approved(company: companies.Company) -> None:
    asked = company.ask("now", "convert")
    response = _approve(visits.as_(company.sofia), asked, version=asked.version + 1)
    assert response.status_code == 412
    assert "Another person changed this after you read it" in visits.text(response)
    asked.refresh_from_db()
    assert asked.state == "in_approval"


def test_the_command_bar_leads_to_places_people_and_reviews(company: companies.Company) -> None:
    campaigns.make("q4", name="Fourth quarter", due_at=clock.now() + timedelta(days=9), by=company.ana)
    browser = visits.as_(company.ana)
    for text, address in (
        ("every", "/stop/everything/"),
        ("fourth", "/reviews/q4/"),
        ("sofia", "/people/sofia/"),
        ("clock/remo", "/systems/clock/tools/remove/"),
    ):
        assert f'<a href="{address}">' in visits.text(browser.get(f"/search/?q={text}", headers={"HX-Request": "true"}))
    assert browser.get("/audit/?about=R%26D").headers["Location"] == "/search/?q=R%26D"


def test_a_refused_answer_keeps_what_was_filled_in(company: companies.Company) -> None:
    asked = company.ask("now", "convert")
    page = _approve(visits.as_(company.sofia), asked, version=asked.version + 1, lasts=str(3600), reason="Enough.")
    shown = visits.text(page)
    assert re.findall(r'value="(\w+)" data-tool( checked)?>', shown) == [("convert", ""), ("now", " checked")]
    assert 'value="Enough."' in shown
    assert '<option value="3600" selected>' in shown


@pytest.mark.parametrize("version", ["", "x", "-1", "99999999999999999999"])
def test_an_approval_that_names_no_version_approves_nothing(company: companies.Company, version: str) -> None:
    asked = company.ask("now")
    assert _approve(visits.as_(company.sofia), asked, version=version).status_code == 412


def test_nobody_approves_their_own_request_and_the_attempt_is_recorded_once(company: companies.Company) -> None:
    asked = company.ask("now", by=company.sofia)
    response = _approve(visits.as_(company.sofia), asked)
    assert response.status_code == 403
    assert visits.refusals() == [("person:sofia", "self_approval")]


def test_denying_needs_a_reason_and_says_so_beside_what_was_filled_in(company: companies.Company) -> None:
    asked = company.ask("now")
    browser = visits.as_(company.sofia)
    response = browser.post(f"/requests/{asked.pk}/", {"verb": "deny", "version": asked.version, "reason": " "})
    assert response.status_code == 422
    assert "reason_required" in visits.text(response)
    browser.post(f"/requests/{asked.pk}/", {"verb": "deny", "version": asked.version, "reason": "Too much."})
    asked.refresh_from_db()
    assert asked.state == "denied"


def test_high_risk_is_approved_only_with_a_fresh_proof_and_then_what_was_filled_in_goes_on(
    company: companies.Company,
) -> None:
    company.sofia.set_password("correct horse battery staple")
    company.sofia.save()
    asked = company.ask("now", "remove")
    browser = visits.as_(company.sofia, fresh=False)
    response = _approve(browser, asked, tool=["now", "remove"])
    assert response["Location"].startswith("/login/again/")
    asked.refresh_from_db()
    assert asked.version == 1
    again = {"password": "correct horse battery staple", "next": f"/requests/{asked.pk}/"}
    browser.post("/login/again/", again)
    assert asked.approvals.get(stage="sponsor").answer == "approved"


def test_narrowing_below_high_risk_needs_only_whoever_is_left(company: companies.Company) -> None:
    asked = company.ask("now", "wipe")
    _approve(visits.as_(company.sofia), asked, tool=["now"])
    asked.refresh_from_db()
    assert asked.state == "approved"


def test_whoever_asked_withdraws(company: companies.Company) -> None:
    asked = company.ask("now")
    visits.as_(company.otto).post(f"/requests/{asked.pk}/", {"verb": "withdraw", "version": asked.version})
    asked.refresh_from_db()
    assert asked.state == "cancelled"


def test_the_gateways_link_fills_in_the_request(company: companies.Company) -> None:
    page = visits.text(visits.as_(company.otto).get("/requests/new/?agent=research-bot&system=clock&tool=convert"))
    assert 'name="entitlement" value="clock:use"' in page
    assert 'value="convert" data-tool checked' in page
    assert 'value="wipe" data-tool checked' not in page


def test_asking_through_the_page_makes_a_request_with_its_limits(company: companies.Company) -> None:
    form = {
        "agent": "research-bot",
        "entitlement": "clock:use",
        "tool": ["now", "convert"],
        "people": "alice",
        "lasts": "28800",
        "reason": "Meetings in two zones.",
    }
    response = visits.as_(company.otto).post("/requests/new/", form)
    asked = AccessRequest.objects.get()
    assert response["Location"] == f"/requests/{asked.pk}/"
    assert {line.tool.name for line in asked.lines.all()} == {"now", "convert"}
    assert [person.login for person in asked.people.all()] == ["alice"]


def test_somebody_without_a_tie_to_the_agent_asks_for_nobody_but_themselves(company: companies.Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    make.grant(company.bot, make.entitlement(company.system), people=[company.bob])
    people_page = visits.text(visits.as_(company.alice).get("/requests/new/?agent=research-bot"))
    assert 'name="people"' not in people_page


@pytest.mark.django_db(transaction=True)
def test_stopping_shows_the_effect_first_and_then_leads_to_the_receipt(company: companies.Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    browser = visits.as_(company.ana)
    assert "Takes effect at once" in visits.text(browser.get("/stop/agent/research-bot/"))
    response = browser.post("/stop/agent/research-bot/", {"reason": "Odd behaviour."})
    stop = Revocation.objects.get()
    assert response["Location"] == f"/stop/receipts/{stop.pk}/"
    page = visits.text(browser.get(f"/stop/receipts/{stop.pk}/"))
    assert "Prove it" in page
    assert "Effect, counted before" in page


def test_a_stop_without_a_reason_stops_nothing(company: companies.Company) -> None:
    response = visits.as_(company.ana).post("/stop/agent/research-bot/", {"reason": "  "})
    assert (response.status_code, Revocation.objects.count()) == (422, 0)


@pytest.mark.django_db(transaction=True)
def test_what_reaches_far_is_stopped_only_by_typing_its_name(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    wrong = browser.post("/stop/system/clock/", {"reason": "Broken.", "typed": "clocks"})
    assert (wrong.status_code, Revocation.objects.count()) == (422, 0)
    browser.post("/stop/system/clock/", {"reason": "Broken.", "typed": "clock"})
    assert Revocation.objects.get().target_id == "clock"


def test_somebody_without_a_part_in_it_stops_nothing(company: companies.Company) -> None:
    browser = visits.as_(company.mallory)
    assert browser.post("/stop/agent/research-bot/", {"reason": "x"}).status_code == 404
    assert browser.post("/stop/everything/", {"reason": "x", "typed": "everything"}).status_code == 403
    assert Revocation.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_second_person_starts_everything_again_and_never_the_one_who_stopped_it(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    browser.post("/stop/everything/", {"reason": "Drill.", "typed": "everything"})
    assert "All access is suspended." in visits.text(browser.get("/agents/"))
    assert browser.post("/stop/start-again/", {"reason": "Over."}).status_code == 403
    assert Guardrail.objects.get(name=guardrails.EVERYTHING).on
    visits.as_(company.resa).post("/stop/start-again/", {"reason": "Over."})
    assert not Guardrail.objects.get(name=guardrails.EVERYTHING).on


def test_a_tool_is_approved_only_as_it_was_read(company: companies.Company) -> None:
    tool = company.system.tools.get(name="now")
    assert tool.seen is not None
    changed = {"name": "now", "description": "Tells the time, and more.", "inputSchema": {"type": "object"}}
    rest = [each.seen.definition for each in company.system.tools.exclude(name="now") if each.seen]
    read = tool.seen.sha256
    discovery.record_discovery(company.system, [changed, *rest], by=company.ana.principal)
    form = {"verb": "approve", "sha256": read, "sentence": "Tells the time.", "action": "read", "risk": "low"}
    browser = visits.as_(company.ana)
    assert browser.post("/systems/clock/tools/now/", form).status_code == 409
    page = visits.text(browser.get("/systems/clock/tools/now/"))
    assert "Changes since the approval" in page
    tool.refresh_from_db()
    assert tool.seen is not None
    assert browser.post("/systems/clock/tools/now/", {**form, "sha256": tool.seen.sha256}).status_code == 302


def test_hostile_text_of_a_server_is_inert_and_its_hidden_characters_are_counted(company: companies.Company) -> None:
    raw = {"name": "odd", "description": HOSTILE, "inputSchema": {"type": "object", "properties": {"<b>": {}}}}
    known = [each.seen.definition for each in company.system.tools.all() if each.seen]
    discovery.record_discovery(company.system, [raw, *known], by=company.ana.principal)
    page = visits.text(visits.as_(company.ana).get("/systems/clock/tools/odd/"))
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "\u200b" not in page
    assert "2 hidden characters" in page
    assert "&lt;script&gt;alert(1)" in page


def test_hostile_names_and_reasons_are_inert_on_every_list(company: companies.Company) -> None:
    company.bot.name = company.bot.purpose = HOSTILE[:100]
    company.bot.save()
    company.ask("now")
    AccessRequest.objects.update(reason=HOSTILE)
    browser = visits.as_(company.ana)
    for path in ("/agents/", "/agents/research-bot/", "/requests/", "/", "/search/?q=research", "/audit/", "/grants/"):
        assert "<script>alert" not in visits.text(browser.get(path)), path


def test_a_personal_token_is_shown_once_and_ended_by_its_owner_alone(company: companies.Company) -> None:
    browser = visits.as_(company.otto)
    shown = visits.text(browser.post("/settings/tokens/", {"label": "report", "lasts": "7"}))
    token = ApiToken.objects.get()
    assert "mdt_" in shown
    assert "mdt_" not in visits.text(browser.get("/settings/"))
    assert visits.as_(company.mallory).post(f"/settings/tokens/{token.pk}/end/").status_code == 404
    browser.post(f"/settings/tokens/{token.pk}/end/")
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_search_finds_names_and_identifiers_only_of_what_one_may_see(company: companies.Company) -> None:
    grant = make.grant(company.bot, company.use, people=[company.alice])
    for text in ("research", str(grant.pk)):
        assert "research-bot" in visits.text(visits.as_(company.ana).get("/search/", {"q": text}))
        assert "Nothing of that name" in visits.text(visits.as_(company.mallory).get("/search/", {"q": text}))


def test_the_command_bar_knows_the_words_of_the_trade_and_offers_only_what_one_may_do(
    company: companies.Company,
) -> None:
    ana, mallory = visits.as_(company.ana), visits.as_(company.mallory)
    expected = {
        "recertification": "/reviews/new/",
        "micro-certification": "/event-triggered-reviews/",
        "firefighter": "/break-glass/declare/",
        "toxic comb": "/sod-policies/",
        "service account": "/agents/",
        "honeytoken": "/decoys/",
        "drift": "/risk-signals/",
        "caep": "/settings/event-streams/",
        "kill switch": "/stop/everything/",
        "suspend research": "/stop/agent/research-bot/",
    }
    for text, address in expected.items():
        assert f'href="{address}"' in visits.text(ana.get("/search/", {"q": text})), text
    for text in ("kill switch", "suspend research"):
        found = visits.text(mallory.get("/search/", {"q": text}, headers={"HX-Request": "true"}))
        assert ("/stop/everything/" in found, "/stop/agent/" in found) == (False, False), text


def test_a_refusal_names_the_missing_role_and_who_assigns_it(company: companies.Company) -> None:
    make.person("ada", roles=["admin"])
    page = visits.text(visits.as_(company.mallory).get("/settings/notices/webhooks/"))
    assert ("Platform admin" in page, "Ada" in page) == (True, True)
    assert "These platform administrators" in visits.text(visits.as_(company.mallory).get("/"))


def test_the_command_bar_gets_the_list_alone(company: companies.Company) -> None:
    response = visits.as_(company.ana).get("/search/?q=research", headers={"HX-Request": "true"})
    assert "<html" not in visits.text(response)
    assert "/agents/research-bot/" in visits.text(response)


def test_the_record_is_read_by_its_readers_and_by_others_only_about_what_is_theirs(company: companies.Company) -> None:
    company.ask("now")
    assert "requested access" in visits.text(visits.as_(company.ana).get("/audit/"))
    assert "requested access" not in visits.text(visits.as_(company.mallory).get("/audit/"))
    own = visits.as_(company.otto).get("/audit/?about=agent:research-bot")
    assert "requested access" in visits.text(own)
    for link in ("agent:research-bot", "person:alice", "system:clock", "trace:" + "a" * 32, "nonsense:x"):
        assert visits.as_(company.mallory).get("/audit/", {"about": link}).status_code == 404, link


def test_a_list_goes_on_where_its_page_ended(company: companies.Company) -> None:
    for number in range(53):
        make.agent(f"bot-{number:02}", sponsor=company.sofia, owner=company.otto)
    browser = visits.as_(company.ana)
    first = browser.get("/agents/?q=bot-")
    following = first.context["page"].next
    second = browser.get("/agents/", {"q": "bot-", "cursor": following})
    shown = [agent.slug for response in (first, second) for agent in response.context["page"].rows]
    assert shown == [f"bot-{number:02}" for number in range(53)]


def test_a_cursor_that_was_tampered_with_is_refused(company: companies.Company) -> None:
    assert visits.as_(company.ana).get("/agents/?cursor=x").status_code == 400


def test_home_says_what_needs_the_person_and_that_nothing_does(company: companies.Company) -> None:
    company.ask("now")
    assert "research-bot requests" in visits.text(visits.as_(company.sofia).get("/"))
    assert "Nothing waits for you" in visits.text(visits.as_(company.mallory).get("/"))


def test_a_page_costs_a_bounded_number_of_queries(
    company: companies.Company, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        bot = make.agent(f"bot-{number:02}", sponsor=company.sofia, owner=company.otto)
        make.grant(bot, company.use, people=[company.alice])
    browser = visits.as_(company.ana)
    for path in ("/agents/", "/grants/", "/requests/", "/systems/", "/systems/clock/"):
        with django_assert_max_num_queries(22):
            assert browser.get(path).status_code == 200


def test_a_person_who_was_stopped_is_let_in_again_with_a_reason(company: companies.Company) -> None:
    people.disable(company.bob, by=company.resa.principal, reason="left")
    page = visits.text(visits.as_(company.ana).get("/people/bob/"))
    assert "The person can sign in again" in page
    visits.as_(company.ana).post("/people/bob/enable/", {"reason": "Back."})
    company.bob.refresh_from_db()
    assert company.bob.is_active


@pytest.mark.parametrize(
    "path",
    [
        "/agents/?q=%00",
        "/search/?q=%00x",
        "/audit/?about=agent:%00",
        "/systems/clock/tools/%00/",
        "/agents/?cursor=%ff",
    ],
)
def test_bytes_that_mean_nothing_are_refused_and_break_nothing(company: companies.Company, path: str) -> None:
    assert visits.as_(company.ana).get(path).status_code in (400, 404)


@pytest.mark.parametrize("key", ["x" * 3000, "a b", "\u202e", "..%2f..", "'; drop table events; --"])
def test_stopping_what_nobody_could_be_called_is_not_found_and_recorded(company: companies.Company, key: str) -> None:
    assert visits.as_(company.ana).post(f"/stop/agent/{key}/", {"reason": "x"}).status_code == 404
    assert len(visits.refusals()) == 1
