"""On the pages of a request: change it, ask back, pass it on, see what became of it, appeal it, give it back."""

from __future__ import annotations

import pytest

from entitlements.grants.models import Grant
from governance.approvals import approvals
from governance.approvals.models import RequestQuestion
from governance.eligibility.narrowing import Narrowing
from governance.requests.models import AccessRequest
from tests import shared
from tests.governance import companies
from tests.governance.companies import Company, waiting
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_whoever_asked_changes_the_request_and_keeps_what_the_form_cannot_say(company: Company) -> None:
    deep = {"convert": {"place.city": {"one_of": ["Paris"], "optional": True}}}
    asked = company.ask("now", "convert", limits=deep)
    otto, sofia = visits.as_(company.otto), visits.as_(company.sofia)
    page, edit = f"/requests/{asked.pk}/", f"/requests/{asked.pk}/edit/"
    assert edit in visits.text(otto.get(page))
    assert edit not in visits.text(sofia.get(page))
    assert sofia.get(edit).status_code == 404
    assert 'value="convert"' in visits.text(otto.get(edit))
    form = {"version": "1", "tool": ["convert"], "lasts": "3600", "reason": "Only to convert."}
    assert sofia.post(edit, form).status_code == 403
    assert otto.post(edit, form)["Location"] == page
    asked.refresh_from_db()
    assert (asked.version, asked.reason) == (2, "Only to convert.")
    assert asked.lines.get().limits["place.city"] == deep["convert"]["place.city"]
    assert otto.post(edit, form).status_code == 412


def test_an_approver_asks_back_passes_on_and_denies_in_a_word(company: Company) -> None:
    asked = company.ask("now")
    otto, sofia, sam = (visits.as_(each) for each in (company.otto, company.sofia, company.sam))
    page = f"/requests/{asked.pk}/"
    assert sofia.post(page, {"verb": "ask", "text": "Which report?"}).status_code == 302
    shown = visits.text(otto.get(page))
    assert "Which report?" in shown
    question = RequestQuestion.objects.get()
    assert str(question.pk) in shown
    assert (
        otto.post(page, {"verb": "answer", "question": str(question.pk), "text": "The quarter's."}).status_code == 302
    )
    assert "The quarter&#x27;s." in visits.text(sofia.get(page))
    passed = {"verb": "reassign", "to": "mallory", "reason": "On leave.", "version": "1"}
    assert sofia.post(page, passed).status_code == 422
    assert sofia.post(page, {**passed, "to": "sam"}).status_code == 302
    assert waiting(asked) == {"sponsor": ["sam"]}
    denied = {"verb": "deny", "reason": "No.", "because": "too_risky", "version": "2"}
    assert sam.post(page, {**denied, "because": "nonsense"}).status_code == 400
    assert sam.post(page, denied).status_code == 302
    shown = visits.text(otto.get(page))
    assert ("Too risky" in shown, 'value="appeal"' in shown, 'value="give_back"' in shown) == (True, True, False)


def test_whoever_asked_sees_what_is_missing_appeals_it_and_gives_it_back(company: Company) -> None:
    asked = company.ask("now", "convert")
    approvals.approve(asked.pk, by=company.sofia, narrow=Narrowing(frozenset({"now"})))
    otto, page = visits.as_(company.otto), f"/requests/{asked.pk}/"
    shown = visits.text(otto.get(page))
    assert "Approved for less than was requested" in shown
    assert 'value="appeal"' not in visits.text(visits.as_(company.alice).get(page))
    assert otto.post(page, {"verb": "appeal", "reason": "Both are needed."}).status_code == 302
    appeal = AccessRequest.objects.get(appeals=asked)
    shown = visits.text(otto.get(page))
    assert (f"/requests/{appeal.pk}/" in shown, 'value="appeal"' in shown) == (True, False)
    assert otto.post(page, {"verb": "give_back", "reason": "Of no use."}).status_code == 302
    assert Grant.objects.get().state == "revoked"


def test_single_keys_are_offered_where_requests_wait_for_an_answer_and_nowhere_else(company: Company) -> None:
    company.ask("now")
    sofia = visits.as_(company.sofia)
    waits, everything = (visits.text(sofia.get(f"/requests/{which}")) for which in ("?waiting=me", ""))
    assert ("data-queue" in waits, "data-keys" in waits, "requests.js" in waits) == (True, True, True)
    assert "data-queue" not in everything


def test_of_a_tightened_limit_whoever_asked_sees_what_holds_now_and_what_was_asked(company: Company) -> None:
    zones = {"timezone": {"one_of": ["Europe/Paris", "Europe/Rome"]}}
    asked = company.ask("convert", limits={"convert": zones})
    rome = {"timezone": {"one_of": ["Europe/Rome"]}}
    first = Narrowing(frozenset({"convert"}), limits={"convert": rome})
    approvals.approve(asked.pk, by=company.sofia, narrow=first)
    less = visits.text(visits.as_(company.otto).get(f"/requests/{asked.pk}/")).partition('id="h-less"')[2]
    now, _asked, before = less.partition("Requested:")
    assert ("Europe/Rome" in now, "Europe/Paris" in now) == (True, False)
    assert "Europe/Paris" in before.partition("</ul>")[0]
