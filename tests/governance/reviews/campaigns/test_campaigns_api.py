from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from audit import clock
from entitlements.grants.models import Grant
from entitlements.people.models import Role
from governance.reviews.decisions.models import ReviewDecision
from tests import make
from tests.entitlements.api import client
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db(transaction=True)

URL, ITEMS = "/api/v1/campaigns", "/api/v1/review-items"


@pytest.fixture
def company() -> Company:
    return worlds.found()[0]


def begin(company: Company) -> str:
    """Draft and begin a campaign over the API, and return its only item."""
    ana = client.of(company.ana)
    due = (clock.now() + timedelta(days=7)).isoformat()
    made = ana.post(URL, {"slug": "q4", "name": "Fourth quarter", "due_at": due})
    assert made.status_code == 201, made.json()
    begun = ana.post(f"{URL}/q4/activate", headers={"If-Match": made["ETag"]})
    assert (begun.status_code, begun.json()["state"], begun.json()["population_rows"]) == (200, "active", 1)
    (item,) = ana.get(f"{ITEMS}?campaign=q4").json()["results"]
    assert (item["reviewer"], item["risk"], len(item["lines"]), item["draft"]) == ("sofia", "critical", 4, None)
    found: str = item["id"]
    return found


def test_a_campaign_is_drafted_begun_answered_proven_and_closed(company: Company) -> None:
    item = begin(company)
    sofia = client.proven(company.sofia)
    answer = {"verb": "revoke", "reason_code": "unused", "comment": "=HYPERLINK(1)"}
    drafted = sofia.put(f"{ITEMS}/{item}/draft", answer, headers={"If-Match": '"0"'})
    assert (drafted.status_code, drafted["ETag"]) == (200, '"1"')
    assert sofia.get(f"{ITEMS}/{item}").json()["draft"]["etag"] == '"1"'
    assert client.of(company.ana).get(f"{ITEMS}/{item}").json()["draft"] is None
    headers = {"If-Match": sofia.get(f"{URL}/q4").json()["drafts_etag"], "Idempotency-Key": uuid4().hex}

    done = sofia.post(f"{URL}/q4/submissions", headers=headers)
    again = sofia.post(f"{URL}/q4/submissions", headers=headers)

    assert done.status_code == 201, done.json()
    assert (again.status_code, again.json()) == (201, done.json())
    assert [(each["state"], each["probe"]["holds"]) for each in done.json()["removals"]] == [("verified", True)]
    assert ReviewDecision.objects.count() == 1
    assert Grant.objects.get().state == "suspended"
    ana = client.proven(company.ana)
    closed = ana.post(f"{URL}/q4/close", {"reason": "All answered."})
    assert (closed.status_code, closed.json()["state"], closed.json()["outcomes"]) == (200, "closed", {"revoke": 1})
    assert Grant.objects.get().state == "revoked"
    evidence = json.loads(ana.get(f"{URL}/q4/evidence").getvalue())
    assert set(evidence["tie_out"].values()) == {0}
    assert evidence["rows"][0]["event"]
    table = ana.get(f"{URL}/q4/evidence.csv")
    assert (table.status_code, table["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert '"\'=HYPERLINK(1)"' in table.getvalue().decode()


def test_a_draft_names_the_revision_that_it_was_made_from(company: Company) -> None:
    item = begin(company)
    sofia, answer = client.of(company.sofia), {"verb": "certify", "reason_code": "mandated"}
    responses = [
        sofia.put(f"{ITEMS}/{item}/draft", answer, headers={"If-Match": tag} if tag else {})
        for tag in (None, '"0"', '"0"', '"7"', '"1"', "1x")
    ]
    assert [each.status_code for each in responses] == [428, 200, 412, 412, 200, 412]
    mistaken = sofia.put(f"{ITEMS}/{item}/draft", {"verb": "approve"}, headers={"If-Match": '"2"'})
    assert mistaken.status_code == 400
    crossed = sofia.put(
        f"{ITEMS}/{item}/draft", {"verb": "certify", "reason_code": "unused"}, headers={"If-Match": '"2"'}
    )
    assert (crossed.status_code, crossed.json()["code"]) == (422, "review_answer_malformed")


def test_a_script_keeps_what_is_critical_only_in_writing(company: Company) -> None:
    draft, sofia = f"{ITEMS}/{begin(company)}/draft", client.proven(company.sofia)
    kept = {"verb": "certify", "reason_code": "mandated", "comment": "Law. "}
    assert sofia.put(draft, kept, headers={"If-Match": '"0"'}).status_code == 200
    response = sofia.post(f"{URL}/q4/submissions")
    assert (response.status_code, response.json()["code"]) == (422, "written_reason_required")
    written = {**kept, "comment": "The law asks for it."}
    assert sofia.put(draft, written, headers={"If-Match": '"1"'}).status_code == 200
    assert sofia.post(f"{URL}/q4/submissions").status_code == 201


def test_a_review_is_due_within_a_year(company: Company) -> None:
    """What is due in the year 9999 has no days of grace after it: its page could not be shown."""
    ana = client.of(company.ana)
    response = ana.post(URL, {"slug": "q4", "name": "Fourth quarter", "due_at": "9999-12-31T23:59:59Z"})
    assert (response.status_code, response.json()["code"]) == (422, "due_too_late")


def test_what_is_submitted_are_all_drafts_and_a_body_that_names_some_is_refused(company: Company) -> None:
    """Who takes the rest of a body as said would submit what nobody meant to submit."""
    item = begin(company)
    sofia, remove = client.proven(company.sofia), {"verb": "revoke", "reason_code": "unused"}
    assert sofia.put(f"{ITEMS}/{item}/draft", remove, headers={"If-Match": '"0"'}).status_code == 200
    response = sofia.post(f"{URL}/q4/submissions", {"items": [item]})
    assert (response.status_code, response.json()["code"]) == (400, "unknown_field")
    assert not ReviewDecision.objects.exists()
    decision = sofia.post(f"{URL}/q4/submissions", {}).json()["decided"][0]["decision"]
    again = client.of(company.ana).post(f"/api/v1/remediations/{decision}/retry", {"force": True})
    assert again.json()["code"] == "unknown_field"


def test_who_may_do_what(company: Company) -> None:
    item = begin(company)
    auditor, admin = make.person("audrey", roles=[Role.AUDITOR]), make.person("adam", roles=[Role.ADMIN])
    draft, drafted = f"{ITEMS}/{item}/draft", {"verb": "certify", "reason_code": "mandated"}
    for who, status in ((company.mallory, 404), (company.otto, 404), (company.alice, 404), (company.ana, 403)):
        answer = client.of(who).put(draft, drafted, headers={"If-Match": '"0"'})
        assert answer.status_code == status, who
    for who in (company.sofia, company.mallory, auditor, admin):
        assert client.of(who).post(f"{URL}/q4/close", {"reason": "x"}).status_code == 403
        assert client.of(who).post(URL, {}).status_code == 403
        assert client.of(who).post(f"{ITEMS}/{item}/reassign", {"to": "mona", "reason": "x"}).status_code == 403
    assert client.proven(auditor).get(f"{URL}/q4/evidence").status_code == 200
    assert client.proven(company.sofia).get(f"{URL}/q4/evidence").status_code == 403
    assert client.of(company.sofia).get(f"{URL}/q4").status_code == 200
    assert client.of(company.mallory).get(f"{URL}/q4").status_code == 404
    assert client.of(admin).get(URL).json()["results"] == []


def test_the_conflict_of_a_reviewer_who_is_named_by_hand_is_refused_in_words(company: Company) -> None:
    item = begin(company)
    ana = client.of(company.ana)
    for login in ("otto", "alice"):
        answer = ana.post(f"{ITEMS}/{item}/reassign", {"to": login, "reason": "please"})
        assert (answer.status_code, answer.json()["code"]) == (403, "conflict_of_interest")
    assert ana.post(f"{ITEMS}/{item}/reassign", {"to": "nobody", "reason": "x"}).json()["code"] == "unknown_name"
    moved = ana.post(f"{ITEMS}/{item}/reassign", {"to": "mona", "reason": "on leave"})
    assert (moved.status_code, moved.json()["reviewer"]) == (200, "mona")
    late = client.of(company.sofia).put(f"{ITEMS}/{item}/draft", {"verb": "certify"}, headers={"If-Match": '"0"'})
    assert late.status_code == 404


def test_a_reviewer_hands_an_item_on_over_rest_within_its_chain_and_a_removal_may_come_later(company: Company) -> None:
    item = begin(company)
    sofia, sam, address = client.of(company.sofia), client.of(company.sam), f"{ITEMS}/{item}/hand-on"
    responses = [
        sofia.post(address, {"to": to, "reason": "Your system."}) for to in ("nobody", "mallory", "sam", "sam")
    ]
    assert [each.status_code for each in responses] == [422, 403, 204, 404], "then the first reviewer no longer sees it"
    assert client.of(company.ana).get(f"{ITEMS}/{item}").json()["reviewer"] == "sam"
    day = (clock.now() + timedelta(days=3)).isoformat()
    later = {"verb": "revoke", "reason_code": "unused", "effective_at": day}
    drafted = sam.put(f"{ITEMS}/{item}/draft", later, headers={"If-Match": '"0"'})
    assert (drafted.status_code, drafted.json()["effective_at"][:19]) == (200, day[:19])
    kept = {**later, "verb": "certify", "reason_code": "mandated"}
    assert sam.put(f"{ITEMS}/{item}/draft", kept, headers={"If-Match": '"1"'}).status_code == 422
    done = client.proven(company.sam).post(f"{URL}/q4/submissions")
    assert (done.status_code, done.json()["removals"], Grant.objects.get().state) == (201, [], "active")


def test_part_of_it_is_kept_taken_back_and_opened_again_over_rest(company: Company) -> None:
    item = begin(company)
    sofia, ana, sam = client.proven(company.sofia), client.of(company.ana), client.of(company.sam)
    lines = {line["tool"]: line["id"] for line in sofia.get(f"{ITEMS}/{item}").json()["lines"]}
    body = {"verb": "reduce", "reason_code": "unused", "kept": [lines["now"], lines["convert"]]}
    wrong = sofia.put(f"{ITEMS}/{item}/draft", {**body, "kept": [max(lines.values()) + 1]}, headers={"If-Match": '"0"'})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "review_answer_malformed")
    drafted = sofia.put(f"{ITEMS}/{item}/draft", body, headers={"If-Match": '"0"'})
    assert (drafted.status_code, sorted(drafted.json()["kept"])) == (200, sorted(body["kept"]))
    done = sofia.post(f"{URL}/q4/submissions")
    assert [(each["action"], each["state"]) for each in done.json()["removals"]] == [("reduce", "verified")]
    data = sam.get(f"{ITEMS}/{item}").json()
    assert (data["state"], data["stage"], data["reviewer"]) == ("in_review", 2, "sam")

    assert sam.post(f"{ITEMS}/{item}/recall", {}).status_code == 404
    back = sofia.post(f"{ITEMS}/{item}/recall", {"reason": "Wrong row."})
    assert (back.status_code, back.json()["stage"], back.json()["draft"]["verb"]) == (200, 1, "reduce")
    assert Grant.objects.get().lines.count() == 4

    answer = {"verb": "revoke", "reason_code": "unused"}
    sofia.put(f"{ITEMS}/{item}/draft", answer, headers={"If-Match": '"1"'})
    (cut,) = sofia.post(f"{URL}/q4/submissions").json()["removals"]
    assert client.of(company.rob).post(f"{ITEMS}/{item}/reopen", {"reason": "x"}).status_code == 403
    opened = ana.post(f"{ITEMS}/{item}/reopen", {"reason": "She is on leave."})
    assert (opened.status_code, opened.json()["state"], Grant.objects.get().state) == (200, "in_review", "active")
    assert ana.post(f"/api/v1/remediations/{cut['decision']}/retry").json()["state"] == "withdrawn"
    until = {"reason": "x", "control": "y", "expires_at": (clock.now() + timedelta(days=1)).isoformat()}
    refused = ana.post(f"/api/v1/remediations/{cut['decision']}/except", until)
    assert (refused.status_code, refused.json()["code"]) == (409, "remediation_not_failed")
    for path in (f"{ITEMS}/{item}/restore", f"{URL}/q4/release"):
        assert ana.post(path, {"reason": "x"}).status_code in {404, 409}, path
