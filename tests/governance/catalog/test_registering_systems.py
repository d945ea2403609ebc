"""Registering systems, looking through their tools, bundling them at the screen: what the API does, in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from audit.actions import Action
from audit.export import timeline
from entitlements.catalog import discovery, entitlements, tools
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.secrets import vault
from entitlements.secrets.models import Secret
from entitlements.upstream import upstream
from tests import make
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

WIKI = {
    "upstream_url": "https://wiki.example.com/mcp",
    "name": "Knowledge base",
    "owner": "sam",
    "kind": "mcp_gateway",
    "sign_in": "none",
}


@pytest.fixture
def company() -> companies.Company:
    return companies.found()


def _add(browser: Client, **given: str) -> Any:  # noqa: ANN401 - a form and its answer
    return browser.post("/systems/add/", {**WIKI, **given})


def _pending(system: System, name: str, **fields: Any) -> Tool:  # noqa: ANN401 - columns of the row
    return make.tool(system, name, state="pending", approved=None, **fields)


def test_a_system_is_registered_and_its_page_says_what_is_next(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    response = _add(browser)
    assert response["Location"] == "/systems/knowledge-base/"
    made = System.objects.get(slug="knowledge-base")
    assert (made.owner, made.kind, made.upstream_url) == (company.sam, "mcp_gateway", WIKI["upstream_url"])
    page = visits.text(browser.get("/systems/knowledge-base/"))
    assert "Test and list tools" in page
    assert "Its tools are not listed yet" in page


def test_only_kinds_that_are_served_can_be_chosen(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    page = visits.text(browser.get("/systems/add/"))
    assert 'name="kind" value="stdio"' not in page
    assert '"/systems/add/local-server/"' in page
    assert _add(browser, kind="stdio").status_code == 422
    assert not System.objects.filter(name=WIKI["name"]).exists()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"upstream_url": "http://wiki.example.com/mcp"}, "system_malformed"),
        ({"upstream_url": ""}, "required"),
        ({"owner": "nobody"}, "unknown_person"),
        ({"slug": "clock"}, "system_slug_taken"),
        ({"slug": "add"}, "system_malformed"),
        ({"slug": "Not a slug"}, "invalid"),
        ({"sign_in": "bearer"}, "required"),
        ({"sign_in": "bearer", "secret": "a" * 20}, "not_the_owner"),
    ],
)
def test_what_is_wrong_is_said_with_its_code_beside_the_field_and_the_rest_is_kept(
    company: companies.Company, given: dict[str, str], code: str
) -> None:
    response = _add(visits.as_(company.ana), **given)
    page = visits.text(response)
    assert response.status_code in (403, 409, 422)
    assert f"<code>{code}</code>" in page
    assert 'aria-invalid="true"' in page
    assert 'value="Knowledge base"' in page
    assert not System.objects.filter(name=WIKI["name"]).exists()


def test_a_secret_goes_into_the_vault_and_comes_back_on_no_page(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    _add(browser, owner="ana", sign_in="bearer", secret="correct-horse-battery")
    made = System.objects.get(slug="knowledge-base")
    opened = vault.open_for(made)
    assert opened
    assert opened.value == "Bearer correct-horse-battery"
    wrong = visits.text(_add(browser, owner="ana", sign_in="bearer", secret="correct-horse-battery"))
    for page in (wrong, visits.text(browser.get("/systems/knowledge-base/edit/"))):
        assert "correct-horse" not in page


def test_a_secret_that_cannot_be_stored_leaves_nothing_half_made(company: companies.Company) -> None:
    response = _add(visits.as_(company.ana), owner="ana", sign_in="bearer", secret="short")
    assert "credential_malformed" in visits.text(response)
    assert not System.objects.filter(slug="knowledge-base").exists()


def test_what_opens_a_system_is_stored_by_its_owner_and_by_no_analyst(company: companies.Company) -> None:
    form = {"secret": "correct-horse-battery"}
    assert visits.as_(company.ana).post("/systems/clock/secret/", form).status_code == 403
    assert not Secret.objects.exists()
    assert visits.as_(company.sam).post("/systems/clock/secret/", form).status_code == 302
    assert Secret.objects.get().system == company.system


def test_an_edit_from_an_older_version_changes_nothing_and_keeps_what_was_written(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    form = {"upstream_url": company.system.upstream_url, "name": "Other", "owner": "sam", "version": 0, "reason": ""}
    response = browser.post("/systems/clock/edit/", form)
    assert response.status_code == 412
    assert 'value="Other"' in visits.text(response)
    browser.post("/systems/clock/edit/", {**form, "version": company.system.version})
    company.system.refresh_from_db()
    assert company.system.name == "Other"


def test_an_analyst_makes_herself_the_owner_of_nothing(company: companies.Company) -> None:
    form = {
        "upstream_url": company.system.upstream_url, "name": "clock", "owner": "ana",
        "version": company.system.version, "reason": "Mine now.",
    }  # fmt: skip
    response = visits.as_(company.ana).post("/systems/clock/edit/", form)
    assert (response.status_code, visits.refusals()) == (403, [("person:ana", "self_appointment")])


@pytest.mark.django_db(transaction=True)
@pytest.mark.loopback
def test_a_discovery_that_fails_names_the_stage_and_the_fix_and_offers_to_try_again(
    company: companies.Company, settings: Settings
) -> None:
    settings.DEMO = True
    System.objects.update(upstream_url="http://localhost:9/mcp")
    response = visits.as_(company.ana).post("/systems/clock/discover/")
    page = visits.text(response)
    assert response.status_code == 502
    assert "No server answers at the address." in page
    assert "Retry" in page


def test_a_list_that_breaks_off_is_kept_that_far(company: companies.Company, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_system: System) -> list[dict[str, Any]]:
        raise upstream.PartialList([{"name": "search", "description": "Searches.", "inputSchema": {"type": "object"}}])

    monkeypatch.setattr(upstream, "discover", broken)
    page = visits.text(visits.as_(company.ana).post("/systems/clock/discover/"))
    assert "The list ended after 1 tools, which are kept." in page
    assert Tool.objects.get(name="search").state == "pending"
    assert Tool.objects.get(name="now").state == "approved"


def test_harmless_tools_are_approved_at_once_and_the_others_one_by_one(company: companies.Company) -> None:
    for name in ("get_time_zone", "convert_time"):
        _pending(company.system, name)
    _pending(company.system, "reset", action="delete", risk="high")
    browser = visits.as_(company.sam)
    page = visits.text(browser.get("/systems/clock/"))
    assert "Approve 2 reading tools" in page
    assert "left out" not in page
    reset = Tool.objects.get(name="reset")
    assert reset.seen
    form = {
        "tool": "reset", "sha256": reset.seen.sha256, "sentence": "Resets the clock.", "action": "delete",
        "risk": "critical", "data_class": "restricted", "verb": "approve", "reason": "Needed at New Year.",
    }  # fmt: skip
    browser.post("/systems/clock/triage/", form)
    reset.refresh_from_db()
    assert (reset.state, reset.sentence, reset.risk, reset.data_class) == (
        "approved", "Resets the clock.", "critical", "restricted",
    )  # fmt: skip


def test_the_button_leaves_out_what_is_undecided_or_grave_by_the_rules_of_today(company: companies.Company) -> None:
    for name in ("get_time_zone", "convert_time", "list_offices", "list_rooms", "list_passports"):
        _pending(company.system, name)
    browser = visits.as_(company.sam)

    page = visits.text(browser.get("/systems/clock/"))

    assert "Approve 2 reading tools" in page
    assert "2 more reading tools need their information flow: private data" in page
    shown = [f"{tool.name} {tool.seen.sha256}" for tool in Tool.objects.filter(state="pending") if tool.seen]
    answer = browser.post("/systems/clock/approve/", {"tool": shown}, follow=True)

    assert "list_offices: The tool has undecided flow labels" in visits.text(answer)
    assert set(Tool.objects.filter(state="pending").values_list("name", flat=True)) == {
        "list_offices", "list_rooms", "list_passports",
    }  # fmt: skip
    zone = Tool.objects.get(name="get_time_zone")
    assert (zone.data_class, zone.reads_private, zone.ingests_untrusted, zone.egress_external) == (
        "public", False, False, False,
    )  # fmt: skip
    assert visits.refusals() == [("person:sam", "tool_flows_undecided")] * 2
    assert [event.code for event in timeline.about("tool:clock/list_rooms")] == ["tool_flows_undecided"]


def test_a_tool_that_changed_while_it_was_read_is_not_approved_and_the_words_are_kept(
    company: companies.Company,
) -> None:
    _pending(company.system, "reset", action="delete", risk="high")
    form = {"tool": "reset", "sha256": "0" * 64, "sentence": "Puts it back.", "action": "delete", "risk": "high"}
    response = visits.as_(company.ana).post("/systems/clock/triage/", {**form, "verb": "approve"})
    page = visits.text(response)
    assert response.status_code == 409
    assert "tool_definition_moved" in page
    assert "Puts it back." in page
    assert Tool.objects.get(name="reset").state == "pending"


def test_what_changed_is_told_where_it_waits_and_is_kept_stopped(company: companies.Company) -> None:
    held = [each.seen.definition for each in company.system.tools.exclude(name="wipe") if each.seen]
    other = {"name": "wipe", "description": "Wipes all.", "inputSchema": {"properties": {"all": {"type": "boolean"}}}}
    discovery.record_discovery(company.system, [*held, other], by=company.ana.principal)
    browser = visits.as_(company.ana)
    page = visits.text(browser.get("/systems/clock/"))
    assert "Changes since the approval:" in page
    assert "Approve new definition" in page
    browser.post("/systems/clock/triage/", {"tool": "wipe", "verb": "keep"})
    wipe = Tool.objects.get(name="wipe")
    assert (wipe.state, timeline.about("tool:clock/wipe").last().action) == ("disabled", Action.TOOL_DISABLED)  # type: ignore[union-attr]


def test_several_tools_are_stopped_with_one_reason_and_none_without(company: companies.Company) -> None:
    browser = visits.as_(company.resa)
    assert browser.post("/systems/clock/stop-tools/", {"tool": ["now"]}).status_code == 422
    assert browser.post("/systems/clock/stop-tools/", {"reason": "x"}).status_code == 400
    assert not Tool.objects.filter(state="disabled").exists()
    browser.post("/systems/clock/stop-tools/", {"tool": ["now", "wipe", "unknown"], "reason": "Leaking."})
    assert set(Tool.objects.filter(state="disabled").values_list("name", flat=True)) == {"now", "wipe"}


def test_who_may_not_approve_is_shown_no_form_that_does(company: companies.Company) -> None:
    _pending(company.system, "reset", action="delete", risk="high")
    page = visits.text(visits.as_(company.otto).get("/systems/clock/"))
    for address in ("triage/", "stop-tools/", "edit/", "entitlements/add/"):
        assert f"/systems/clock/{address}" not in page


def _bundle(company: companies.Company, path: str, **given: Any) -> Any:  # noqa: ANN401 - a form and its answer
    form = {"name": "Tell the time", "sentence": "Tells it.", "longest": str(7 * 86400), "tool": ["now"], **given}
    return visits.as_(company.sam).post(path, form)


def test_tools_are_bundled_by_hand_with_limits_and_a_longest_time(company: companies.Company) -> None:
    schema = {"type": "object", "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}}}
    make.tool(company.system, "tell", definition={"name": "tell", "inputSchema": schema})
    limit = {"limit:tell:zone:asked": "1", "limit:tell:zone": ["UTC"]}
    response = _bundle(company, "/systems/clock/entitlements/add/", tool=["tell", "now"], **limit)
    assert response["Location"] == "/systems/clock/?tab=entitlements"
    made = Entitlement.objects.get(scope="clock:tell-the-time")
    assert made.longest == timedelta(days=7)
    assert {line.tool.name: line.limits for line in made.lines.all()} == {
        "tell": {"zone": {"optional": True, "one_of": ["UTC"]}},
        "now": {},
    }


@pytest.mark.parametrize(
    ("given", "code"),
    [({"tool": []}, "entitlement_malformed"), ({"scope": "use"}, "scope_taken"), ({"longest": "12"}, "invalid_choice")],
)
def test_a_bundle_that_cannot_be_made_says_why_and_keeps_what_was_ticked(
    company: companies.Company, given: dict[str, Any], code: str
) -> None:
    response = _bundle(company, "/systems/clock/entitlements/add/", **given)
    page = visits.text(response)
    assert response.status_code in (409, 422)
    assert f"<code>{code}</code>" in page
    assert ('value="now" data-tool checked' in page) is (given.get("tool") != [])
    assert Entitlement.objects.count() == 1


def test_limits_are_forgotten_and_an_older_version_changes_nothing(company: companies.Company) -> None:
    path = "/systems/clock/entitlements/clock:use/"
    lasts = str(int(company.use.longest.total_seconds()))
    form = {
        "name": "Use", "longest": lasts, "enabled": "on", "version": company.use.version,
        "tool": ["now", "convert", "remove", "wipe"], "forget": ["convert"],
    }  # fmt: skip
    assert _bundle(company, path, **{**form, "version": 0}).status_code == 412
    assert company.use.lines.get(tool__name="convert").limits
    assert _bundle(company, path, **form).status_code == 302
    assert company.use.lines.get(tool__name="convert").limits == {}


def test_what_open_access_holds_is_not_taken_out_of_a_bundle(company: companies.Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    lasts = str(int(company.use.longest.total_seconds()))
    given = {"longest": lasts, "enabled": "on", "version": company.use.version, "tool": ["now"]}
    response = _bundle(company, "/systems/clock/entitlements/clock:use/", **given)
    assert response.status_code == 409
    assert "entitlement_in_use" in visits.text(response)
    assert company.use.lines.count() == 4


def test_a_limit_that_is_no_number_is_said_and_stays_as_it_was_written(company: companies.Company) -> None:
    schema = {"type": "object", "properties": {"amount": {"type": "number"}}}
    make.tool(company.system, "pay", definition={"name": "pay", "inputSchema": schema})
    limit = {"limit:pay:amount:min": "", "limit:pay:amount:max": "much"}
    page = visits.text(_bundle(company, "/systems/clock/entitlements/add/", tool=["pay"], **limit))
    assert "much is no number" in page
    assert 'value="much"' in page
    assert Entitlement.objects.count() == 1


def test_a_bundle_by_rule_keeps_its_rule_when_its_words_are_edited(company: companies.Company) -> None:
    made = entitlements.make_entitlement(
        company.system,
        "clock:reads",
        name="Reads",
        rule={"actions": ["read"], "risk_at_most": "critical"},
        by=company.sam.principal,
    )
    lasts = str(int(made.longest.total_seconds()))
    given = {"name": "All reading", "longest": lasts, "enabled": "on", "version": made.version, "tool": []}
    given |= {"actions": ["read"], "risk_at_most": "critical"}
    path = "/systems/clock/entitlements/clock:reads/"
    assert "4 tools match" in visits.text(visits.as_(company.sam).get(path))
    assert _bundle(company, path, **given).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.rule is not None, made.lines.count()) == ("All reading", True, 4)


def test_a_bundle_by_rule_is_looked_at_before_it_is_made_and_changed(company: companies.Company) -> None:
    schema = {"type": "object", "properties": {"region": {"type": "string"}}}
    make.tool(company.system, "list", definition={"name": "list", "inputSchema": schema})
    path, sam = "/systems/clock/entitlements/add/?by=rule", visits.as_(company.sam)
    assert "2 tools match" in visits.text(sam.get(path))
    given = {"name": "Reads", "actions": ["read"], "risk_at_most": "low", "limits": "region: north", "longest": "86400"}
    shown = visits.text(sam.post(path, {**given, "preview": "yes"}))
    assert "2 tools match" in shown
    assert not Entitlement.objects.filter(scope="clock:reads").exists()
    wrong = sam.post(path, {**given, "limits": "region north"})
    assert (wrong.status_code, "each name once" in visits.text(wrong)) == (422, True)
    assert sam.post(path, given).status_code == 302
    made = Entitlement.objects.get(scope="clock:reads")
    limits = {line.tool.name: line.limits for line in made.lines.select_related("tool")}
    assert limits == {"now": {}, "list": {"region": {"one_of": ["north"], "optional": True}}}
    page, change = "/systems/clock/entitlements/clock:reads/", {**given, "enabled": "on", "version": made.version}
    assert "region: north" in visits.text(sam.get(page))
    wider = {**change, "risk_at_most": "medium", "limits": "region: north, south"}
    assert "3 tools match, 1 of them new" in visits.text(sam.post(page, {**wider, "preview": "yes"}))
    assert sam.post(page, wider).status_code == 302
    limits = {line.tool.name: line.limits for line in made.lines.select_related("tool")}
    assert limits["list"] == {"region": {"one_of": ["north", "south"], "optional": True}}
    assert "convert" in limits
    later = make.tool(company.system, "later", definition={"name": "later", "inputSchema": schema}, state="pending")
    assert later.seen is not None
    approved = tools.Approval(later, later.seen.sha256, "Lists later.", "read", "low", "internal")
    tools.approve_tool(approved, by=company.sam.principal)
    assert made.lines.get(tool=later).limits == limits["list"]


def test_an_edit_chooses_what_tokens_are_signed_with_and_without_a_choice_it_stays(company: companies.Company) -> None:
    browser, system = visits.as_(company.ana), company.system
    form: dict[str, Any] = {"upstream_url": system.upstream_url, "name": "clock", "owner": "sam", "reason": ""}
    assert 'name="signing_algorithm"' in visits.text(browser.get("/systems/clock/edit/"))
    for chosen, expected in (("RS256", "RS256"), ("", "RS256"), ("none", "RS256"), ("EdDSA", "EdDSA")):
        system.refresh_from_db()
        given = {**form, "signing_algorithm": chosen, "version": system.version}
        assert browser.post("/systems/clock/edit/", given).status_code == (422 if chosen == "none" else 302)
        system.refresh_from_db()
        assert system.signing_algorithm == expected
