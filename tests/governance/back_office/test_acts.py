"""Each act of the back office: done as in the console, and refused where the console refuses, with nothing lost."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from audit.actions import Action
from audit.models import Event
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approvals.models import Approval
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.governance.back_office import desk
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
made_world, world = shared.world(desk.made)
REQUESTS, GRANTS, CAMPAIGNS = "governance_accessrequest", "entitlements_grant", "governance_campaign"

DONE = {
    (GRANTS, "suspend"): (Action.GRANT_SUSPENDED, "state", "suspended"),
    (GRANTS, "restore"): (Action.GRANT_RESTORED, "state", "active"),
    (GRANTS, "revoke"): (Action.GRANT_REVOKED, "state", "revoked"),
    ("entitlements_agent", "suspend"): (Action.AGENT_SUSPENDED, "status", "suspended"),
    ("entitlements_agent", "restore"): (Action.AGENT_RESTORED, "status", "active"),
    ("entitlements_client", "suspend"): (Action.CLIENT_DISABLED, "status", "disabled"),
    ("entitlements_client", "restore"): (Action.CLIENT_ENABLED, "status", "active"),
    ("entitlements_system", "suspend"): (Action.SYSTEM_DISABLED, "status", "disabled"),
    ("entitlements_system", "restore"): (Action.SYSTEM_ENABLED, "status", "active"),
    ("entitlements_tool", "suspend"): (Action.TOOL_DISABLED, "state", "disabled"),
    ("entitlements_tool", "restore"): (Action.TOOL_ENABLED, "state", "approved"),
    (CAMPAIGNS, "launch"): (Action.CAMPAIGN_ACTIVATED, "state", "active"),
    (CAMPAIGNS, "close"): (Action.CAMPAIGN_CLOSING, "state", "closed"),
}


def _ana(world: desk.Desk) -> Client:
    return visits.as_(world.company.ana)


@pytest.mark.parametrize("act", DONE, ids="-".join)
def test_an_act_is_done_at_once_and_recorded(act: tuple[str, str], world: desk.Desk) -> None:
    row, (action, field, value) = world.rows[act], DONE[act]

    answer = desk.press(_ana(world), *act, row, next="/admin/")

    assert (answer.status_code, answer.headers.get("Location")) == (302, "/admin/"), desk.code(answer)
    row.refresh_from_db()
    assert getattr(row, field) == value
    event = Event.objects.filter(action=action).latest("at")
    assert (event.actor, event.reason) == ("person:ana", "Seen in a test.")


def test_a_request_is_approved_with_less(world: desk.Desk) -> None:
    request = world.rows[REQUESTS, "approve"]
    page = visits.text(visits.as_(world.company.resa).get(desk.address(REQUESTS, "approve"), {"key": request.pk}))
    assert "Business justification" in page
    assert "needed for a test" in page
    less: dict[str, Any] = {f"{request.pk}:tool": ["convert", "wipe"], f"{request.pk}:lasts": "3600"}

    answer = desk.press(visits.as_(world.company.resa), REQUESTS, "approve", request, **less)

    assert answer.status_code == 302, desk.code(answer)
    left = AccessRequest.objects.get(pk=request.pk)
    assert left.lasts == timedelta(hours=1)
    assert set(left.lines.filter(kept=True).values_list("tool__name", flat=True)) == {"convert", "wipe"}
    assert left.approvals.get(stage="security").by == world.company.resa


def test_a_request_is_denied_in_a_word(world: desk.Desk) -> None:
    request = world.rows[REQUESTS, "deny"]
    word = {f"{request.pk}:because": "too_much"}

    assert desk.press(visits.as_(world.company.resa), REQUESTS, "deny", request, **word).status_code == 302

    request.refresh_from_db()
    assert request.state == "denied"  # type: ignore[attr-defined]
    assert Approval.objects.get(request=request.pk, answer="denied").denied_as == "too_much"


def test_a_grant_is_narrowed_and_says_what_it_still_gives(world: desk.Desk) -> None:
    grant = world.rows[GRANTS, "narrow"]
    less: dict[str, Any] = {
        f"{grant.pk}:tool": ["now"],
        f"{grant.pk}:lasts": "3600",
    }

    answer = desk.press(_ana(world), GRANTS, "narrow", grant, **less)

    assert answer.status_code == 302, desk.code(answer)
    left = Grant.objects.get(pk=grant.pk)
    assert list(left.lines.values_list("tool__name", flat=True)) == ["now"]
    event = Event.objects.get(action=Action.GRANT_REDUCED)
    assert left.expires_at - event.at <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("act", "changed", "code", "status"),
    [
        ((GRANTS, "revoke"), {"reason": " "}, "reason_required", 422),
        ((GRANTS, "narrow"), {"reason": ""}, "reason_required", 422),
        ((GRANTS, "suspend"), {"{pk}:version": "7"}, "stale", 412),
        ((GRANTS, "narrow"), {"{pk}:version": None}, "stale", 412),
        ((GRANTS, "narrow"), {"{pk}:tool": []}, "nothing_left", 422),
        ((GRANTS, "narrow"), {"{pk}:tool": ["now", "later"]}, "not_narrower", 422),
        ((GRANTS, "narrow"), {"{pk}:lasts": "99999999"}, "not_narrower", 422),
        ((GRANTS, "narrow"), {"{pk}:lasts": "soon"}, "malformed", 400),
        ((REQUESTS, "deny"), {"{pk}:because": "whatever"}, "malformed", 400),
        ((REQUESTS, "deny"), {"reason": ""}, "reason_required", 422),
        ((REQUESTS, "approve"), {"{pk}:version": "9"}, "stale", 412),
        ((REQUESTS, "approve"), {"{pk}:version": None}, "stale", 412),
        ((CAMPAIGNS, "launch"), {"{pk}:typed": "Another"}, "malformed", 400),
        ((CAMPAIGNS, "close"), {"{pk}:without_answer": None}, "items_without_outcome", 409),
    ],
)
def test_what_is_refused_is_shown_with_what_was_sent(
    act: tuple[str, str], changed: dict[str, Any], code: str, status: int, world: desk.Desk
) -> None:
    row = world.rows[act]
    browser = visits.as_(world.company.resa if act[0] == REQUESTS else world.company.ana)
    sent = {name.format(pk=row.pk): value for name, value in changed.items()}

    answer = desk.press(browser, *act, row, **sent)

    assert (desk.code(answer), answer.status_code) == (code, status)
    assert changed.get("reason", "Seen in a test.").strip() in visits.text(answer)
    before = type(row).objects.get(pk=row.pk)  # type: ignore[attr-defined]
    assert getattr(before, "state", None) == getattr(row, "state", None), "nothing happened"


def test_a_refusal_keeps_what_was_unticked_and_chosen(world: desk.Desk) -> None:
    grant = world.rows[GRANTS, "narrow"]
    sent: dict[str, Any] = {"reason": "", f"{grant.pk}:tool": ["now"], f"{grant.pk}:lasts": "3600"}

    page = visits.text(desk.press(_ana(world), GRANTS, "narrow", grant, **sent))

    assert 'value="now" checked' in page
    assert 'value="convert">' in page
    assert '<option value="3600" selected>' in page


def test_nobody_approves_what_they_gain_from(world: desk.Desk) -> None:
    """Resa would be security; a request for her waits for rob alone."""
    asked = world.company.ask("wipe", by=world.company.otto, people=[world.company.resa])

    answer = desk.press(visits.as_(world.company.resa), REQUESTS, "approve", asked)

    assert (answer.status_code, desk.code(answer)) == (403, "beneficiary_may_not_approve")
    assert "Seen in a test." in visits.text(answer)
    assert visits.refusals() == [("person:resa", "beneficiary_may_not_approve")]


def test_whoever_suspended_it_does_not_restore_it(world: desk.Desk) -> None:
    grant = world.rows[GRANTS, "suspend"]
    desk.press(_ana(world), GRANTS, "suspend", grant)
    grant.refresh_from_db()

    answer = desk.press(_ana(world), GRANTS, "restore", grant)

    assert desk.code(answer) == "second_person_required"
    assert Grant.objects.get(pk=grant.pk).state == "suspended"


def test_an_ended_row_is_offered_nothing_and_refused_by_hand(world: desk.Desk) -> None:
    grant = world.rows[GRANTS, "revoke"]
    grants.revoke(grant.pk, by=world.company.rob.principal, reason="Over.")
    page = visits.text(_ana(world).get(desk.address(GRANTS, "revoke"), {"key": grant.pk}))
    assert 'name="reason"' not in page

    stale = desk.press(_ana(world), GRANTS, "revoke", grant)
    ended = desk.press(_ana(world), GRANTS, "revoke", grant, **{f"{grant.pk}:version": None})

    assert [desk.code(stale), desk.code(ended)] == ["stale", "grant_already_ended"]
    assert ("person:ana", "grant_already_ended") in visits.refusals()


def test_several_are_done_each_by_itself_and_the_refused_stay_on_the_page(world: desk.Desk) -> None:
    first, second = world.rows[GRANTS, "revoke"], world.rows[GRANTS, "restore"]

    answer = desk.press(_ana(world), GRANTS, "revoke", first, second, **{f"{second.pk}:version": "9"})

    page = visits.text(answer)
    assert (answer.status_code, desk.code(answer)) == (200, "stale")
    assert "Revoked: research-bot: clock:use." in page
    assert f'name="key" value="{second.pk}"' in page
    assert f'name="key" value="{first.pk}"' not in page
    assert [Grant.objects.get(pk=each.pk).state for each in (first, second)] == ["revoked", "suspended"]


def test_ticked_rows_lead_to_the_page_that_confirms(world: desk.Desk) -> None:
    rows = [world.rows[GRANTS, "revoke"], world.rows[GRANTS, "restore"]]
    ticked = {"action": "revoke", "index": "0", "_selected_action": [str(row.pk) for row in rows]}

    answer = _ana(world).post("/admin/entitlements/grant/?o=1", ticked, follow=True)

    page = visits.text(answer)
    assert all(f'name="key" value="{row.pk}"' in page for row in rows)
    assert Grant.objects.filter(ended_at=None).count() == len(rows), "nothing is revoked before it is confirmed"
    assert 'value="/admin/entitlements/grant/?o=1"' in page


def test_an_act_that_is_not_offered_is_no_choice_of_the_list(world: desk.Desk) -> None:
    grant = world.rows[GRANTS, "revoke"]
    ticked = {"action": "revoke", "index": "0", "_selected_action": [str(grant.pk)]}

    answer = visits.as_(Person.objects.get(login="adele")).post("/admin/entitlements/grant/", ticked)

    assert answer.status_code == 200
    assert "No action" not in visits.text(answer)
    assert 'name="reason"' not in visits.text(answer), "the list itself"


def test_more_than_a_page_of_a_list_is_refused(world: desk.Desk) -> None:
    keys = [str(number) for number in range(51)]
    answer = _ana(world).post(desk.address("entitlements_agent", "suspend"), {"key": keys, "reason": "All."})
    assert answer.status_code == 400


def test_without_a_fresh_authentication_it_is_asked_for_and_what_was_sent_goes_on(world: desk.Desk) -> None:
    ana, grant = world.company.ana, world.rows[GRANTS, "revoke"]
    ana.set_password("correct horse battery staple")
    ana.save()
    browser = visits.as_(ana)
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 301}]
    session.save()

    answer = desk.press(browser, GRANTS, "revoke", grant)

    assert answer["Location"].startswith("/login/again/")
    assert Grant.objects.get(pk=grant.pk).ended_at is None
    browser.post(answer["Location"], {"password": "correct horse battery staple"})
    assert Grant.objects.get(pk=grant.pk).state == "revoked"


def test_whoever_cannot_authenticate_again_is_refused(world: desk.Desk) -> None:
    answer = desk.press(visits.as_(world.company.ana, fresh=False), GRANTS, "revoke", world.rows[GRANTS, "revoke"])
    assert answer.status_code == 403
    assert visits.refusals() == [("person:ana", "step_up_required")]


@pytest.mark.parametrize("key", ["", "x", "0", "00000000-0000-0000-0000-000000000000"])
def test_what_is_not_there_is_not_found(key: str, world: desk.Desk) -> None:
    for kind in (GRANTS, "entitlements_agent"):
        assert _ana(world).get(desk.address(kind, "suspend"), {"key": key}).status_code == 404


def test_a_limit_is_tightened_on_one_of_two_rows(world: desk.Desk) -> None:
    system = world.company.system
    schema = {"type": "object", "properties": {"amount": {"type": "number"}}}
    pay = make.tool(system, "pay", definition={"name": "pay", "description": "Pays.", "inputSchema": schema})
    use = make.entitlement(system, pay, scope="clock:pay", limits={"pay": {"amount": {"max": 100}}})
    rows = [make.grant(world.company.bot, use, people=[each]) for each in (world.company.alice, world.company.bob)]
    sent = {
        **{f"{row.pk}:tool": ["pay"] for row in rows},
        f"{rows[0].pk}:limit:pay:amount:max": "10",
        f"{rows[1].pk}:limit:pay:amount:max": "100",
    }

    answer = desk.press(_ana(world), GRANTS, "narrow", *rows, **sent)

    assert desk.code(answer) == "grant_not_narrower"
    assert [row.lines.get().limits["amount"]["max"] for row in rows] == [10, 100]


@pytest.mark.parametrize("kind", desk.ADMINS)
def test_a_row_leads_to_its_console_page_and_back(kind: str, world: desk.Desk) -> None:
    row = next(row for (name, _act), row in world.rows.items() if name == kind)
    change = desk.ADMINS[kind].address("change", row.pk)
    browser = visits.as_(world.company.resa)
    console = desk.ADMINS[kind].console_address(row)
    assert f'href="{console}"' in visits.text(browser.get(change))
    assert f'href="{console}"' in visits.text(browser.get(desk.ADMINS[kind].address("changelist")))

    back = re.search(r'href="(/admin/[^"]+/named/[^"]+)"', visits.text(browser.get(console)))

    assert back is not None
    assert browser.get(back[1].replace("&amp;", "&"))["Location"] == change
    sam = visits.text(visits.as_(world.company.sam).get(console))
    assert "/admin/" not in sam, "only those who may open it are led there"


def test_whoever_may_not_do_it_learns_nothing_of_what_is_wrong_with_the_form(world: desk.Desk) -> None:
    grant, adele = world.rows[GRANTS, "narrow"], visits.as_(Person.objects.get(login="adele"))
    assert desk.code(desk.press(adele, GRANTS, "narrow", grant, **{f"{grant.pk}:lasts": "soon"})) == "forbidden"
