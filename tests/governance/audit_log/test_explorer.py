"""The audit explorer: facets, names instead of ids, traces, what led to an event, exports as filtered."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction

from audit import context, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from governance.audit_log.pages import event_list
from governance.audit_log.queries import filters, sentences, trace
from tests import make
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> companies.Company:
    return companies.found()


def _events(response: Any) -> list[str]:  # noqa: ANN401 - Django's test response
    return [each.row.event.action for each in response.context["list"].rows]


def test_events_are_sentences_with_names(company: companies.Company) -> None:
    type(company.otto).objects.filter(pk=company.otto.pk).update(name="Otto Berg")
    company.ask("now")
    page = re.sub(r"<[^>]*>|\s+", " ", visits.text(visits.as_(company.ana).get("/audit/?action=request.submitted")))
    assert "Otto Berg requested access" in re.sub(" +", " ", page)
    assert f"{company.bot.name}: {company.use.name}" in page


def test_facets_narrow_by_actor_agent_system_event_and_time(company: companies.Company) -> None:
    company.ask("now")
    make.agent("other-bot", sponsor=company.sam, owner=company.bob)
    browser = visits.as_(company.ana)
    for query in ("actor=person:otto", "actor=otto", "agent=research-bot&system=clock", "action=request.submitted"):
        found = _events(browser.get(f"/audit/?{query}"))
        assert set(found) == {"request.submitted"}, query
    assert _events(browser.get("/audit/?actor=person:otto&to=2020-01-01")) == []
    assert _events(browser.get("/audit/?action=request.submitted&from=2099-01-01")) == []
    assert _events(browser.get("/audit/?action=request.submitted&from=2020-01-01")) == ["request.submitted"]
    assert browser.get("/audit/?from=yesterday").status_code == 400
    assert _counts(browser.get("/audit/"), "action")["request.submitted"] == 1


def _counts(response: Any, facet: str) -> dict[str, int]:  # noqa: ANN401 - Django's test response
    return {value: count.rows for value, count in response.context["list"].counts.facets.get(facet, {}).items()}


def test_an_outcome_is_found_by_what_the_event_says_and_not_by_its_details(company: companies.Company) -> None:
    visits.as_(company.mallory).post("/stop/everything/", {"reason": "x", "typed": "everything"})  # refused, recorded
    refused = _events(visits.as_(company.ana).get("/audit/?outcome=refused"))
    assert refused == ["attempt.refused"]
    event = Event.objects.get(action=Action.REFUSED)
    code = visits.as_(company.ana).get(f"/audit/?code={event.code}")
    assert _events(code) == ["attempt.refused"]


def _window(monkeypatch: pytest.MonkeyPatch, size: int, page: int = 50) -> None:
    monkeypatch.setattr(event_list, "LAYOUT", replace(event_list.LAYOUT, window=size, size=page))


@pytest.mark.parametrize("order", ["-at", "at"])
def test_a_search_that_no_index_serves_stops_at_its_window_and_goes_on(
    company: companies.Company, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    visits.as_(company.mallory).post("/stop/everything/", {"reason": "x", "typed": "everything"})
    for number in range(4):
        make.agent(f"bot-{number}", sponsor=company.sam, owner=company.bob)
    _window(monkeypatch, 2)
    browser, cursor, pages = visits.as_(company.ana), "", []
    while cursor is not None:
        answer = browser.get("/audit/", {"outcome": "refused", "sort": order, **({"cursor": cursor} if cursor else {})})
        page = answer.context["page"]
        assert page.is_cut == (page.next is not None)
        assert "rows that were searched matches" in visits.text(answer) or page.rows or not page.is_cut
        pages += [[row.action for row in page.rows]]
        cursor = page.next
    assert len(pages) == -(-Event.objects.count() // 2) or len(pages) == Event.objects.count() // 2 + 1
    assert [action for page in pages for action in page] == ["attempt.refused"]


def test_windows_and_pages_lead_to_each_event_once_and_back(
    company: companies.Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        make.agent(f"bot-{number}", sponsor=company.sam, owner=company.bob)
    whole = [event.uuid for event in Event.objects.order_by("-at", "-producer", "-sequence")]
    _window(monkeypatch, 5, page=2)
    browser, address, seen, backs = visits.as_(company.ana), "/audit/?outcome=success", [], []
    while True:
        page = browser.get(address).context["page"]
        seen += [row.uuid for row in page.rows]
        backs += [page.previous]
        if page.next is None:
            break
        address = f"/audit/?outcome=success&cursor={page.next}"
    assert seen == whole
    before = browser.get(f"/audit/?outcome=success&cursor={backs[1]}").context["page"]
    assert [row.uuid for row in before.rows] == whole[:2]


def test_events_of_parts_are_paged_in_the_order_of_the_whole_log(
    company: companies.Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.ask("now")
    wanted = filters.actions_of(["admin", "request"])
    _window(monkeypatch, 5, page=3)
    for order, names in (("-at", ("-at", "-producer", "-sequence")), ("at", ("at", "producer", "sequence"))):
        address, seen = f"/audit/?lane=admin&lane=request&sort={order}", list[Any]()
        while True:
            page = visits.as_(company.ana).get(address).context["page"]
            seen += [row.uuid for row in page.rows]
            if page.next is None:
                break
            address = f"/audit/?lane=admin&lane=request&sort={order}&cursor={page.next}"
        assert seen == [event.uuid for event in Event.objects.filter(action__in=wanted).order_by(*names)]
        assert len(seen) > 3


def test_tickets_and_words_narrow_the_log(company: companies.Company) -> None:
    asked = company.ask("now")
    type(asked).objects.filter(pk=asked.pk).update(ticket="SEC-12")
    form = {"verb": "approve", "version": asked.version, "tool": ["now"], "reason": 'Looks "fine" to me.'}
    visits.as_(company.sofia).post(f"/requests/{asked.pk}/", form)
    browser = visits.as_(company.ana)
    ticketed = _events(browser.get("/audit/?ticket=any"))
    assert "approval.given" in ticketed
    rest = _events(browser.get("/audit/?ticket=none"))
    assert len(ticketed) + len(rest) == Event.objects.count()
    assert _counts(browser.get("/audit/"), "ticket") == {"any": len(ticketed), "none": len(rest)}
    assert set(_events(browser.get("/audit/?about=ticket:SEC-12"))) == {*ticketed}
    assert _events(browser.get("/audit/", {"q": 'looks "FINE"'})) == ["approval.given"]
    assert browser.get("/audit/?ticket=any&columns=ticket").context["list"].rows[0].cells[0].drawn == "SEC-12"


def test_columns_views_and_the_order_are_those_of_every_list(company: companies.Company) -> None:
    company.ask("now")
    browser = visits.as_(company.ana)
    shown = browser.get("/audit/?action=request.submitted&columns=at,actor,trace&sort=at")
    assert [head.column.name for head in shown.context["list"].heads] == ["at", "actor", "trace"]
    kept = {"list": "audit-log", "name": "Asked", "query": "action=request.submitted&about=agent:x", "next": "/audit/"}
    saved = browser.post("/views/", kept)
    assert _events(browser.get(saved.headers["Location"])) == ["request.submitted"]
    old = browser.get("/audit/?order=oldest&lane=request")
    assert old.headers["Location"] == "/audit/?lane=request&sort=at"


def test_what_a_timeline_is_about_stays_when_filters_are_cleared(company: companies.Company) -> None:
    company.ask("now")
    shown = visits.as_(company.ana).get("/audit/?about=agent:research-bot&outcome=refused").context["list"]
    assert shown.addresses["clear"] == "/audit/?about=agent%3Aresearch-bot"
    assert [tab.address for tab in shown.views] == ["/audit/?about=agent%3Aresearch-bot"]
    assert shown.saving.query == "outcome=refused"


def test_one_event_tells_what_led_to_it_and_what_followed(company: companies.Company) -> None:
    asked = company.ask("now")
    form = {"verb": "approve", "version": asked.version, "tool": ["now"]}
    visits.as_(company.sofia).post(f"/requests/{asked.pk}/", form)
    given = Event.objects.get(action="approval.given")
    told = visits.as_(company.ana).get(f"/audit/?about=event:{given.uuid}").context
    assert [entry.event.action for entry in told["before"]][:1] == ["request.submitted"]
    assert (told["entry"].event, told["entry"].behalf) == (given, None)
    assert "grant.issued" in [entry.event.action for entry in told["after"]]
    assert dict(told["entry"].detail)["no_longer_needed"] == "-"
    waterfall = visits.as_(company.ana).get(f"/audit/?about=trace:{given.trace}").context["waterfall"].steps
    assert waterfall[0].entry.event.action == "request.submitted"
    assert waterfall[0].x == 0
    assert all(step.x + step.width <= trace._WIDE + trace._THINNEST for step in waterfall)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("it's", "it's"),
        (["read", "send"], "read, send"),
        ([], "-"),
        ({}, "-"),
        (True, "true"),
        ({"a": ["b"]}, '{"a": ["b"]}'),
    ],
)
def test_a_detail_is_no_python(company: companies.Company, value: object, shown: str) -> None:
    event = log.record(Action.AGENT_SUSPENDED, about=["agent:research-bot"], by=SYSTEM, detail={"what": value})
    entry = visits.as_(company.ana).get(f"/audit/?about=event:{event.uuid}").context["entry"]
    assert entry.detail == [("what", shown)]


def test_a_long_trace_is_laid_out_a_hundred_events_at_a_time(company: companies.Company) -> None:
    with context.acting(trace="ab" * 16), transaction.atomic():
        log.record_many(Action.GRANT_ISSUED, [log.Row(reason=f"n {n}") for n in range(trace.MOST * 2 + 1)], by=SYSTEM)
    browser, address = visits.as_(company.ana), f"/audit/?about=trace:{'ab' * 16}"
    seen: list[str] = []
    for length in (100, 100, 1):
        page = browser.get(address)
        shown = page.context["waterfall"]
        assert len(shown.steps) == length
        assert shown.is_first is (not seen)
        assert ("Show the next 100" in visits.text(page)) is bool(shown.next)
        seen += [step.entry.event.reason for step in shown.steps]
        address = f"/audit/?about=trace:{'ab' * 16}&begins={shown.next}"
    assert seen == [f"n {n}" for n in range(trace.MOST * 2 + 1)]
    assert browser.get(f"/audit/?about=trace:{'ab' * 16}&begins=nonsense").status_code == 400


def test_a_trace_of_nothing_has_no_waterfall(company: companies.Company) -> None:
    assert "waterfall" not in visits.text(visits.as_(company.ana).get(f"/audit/?about=trace:{'cd' * 16}"))


def test_an_export_holds_exactly_what_is_filtered_and_is_recorded(company: companies.Company) -> None:
    company.ask("now")
    browser = visits.as_(company.ana)
    lines = visits.text(browser.get("/audit/?actor=person:otto&export=jsonl")).splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["request.submitted"]
    (only,) = lines
    assert {"uuid", "index", "trace", "links", "detail", "actor", "code"} <= {*json.loads(only)}
    table = visits.text(browser.get("/audit/?actor=person:otto&export=csv")).splitlines()
    assert (len(table), table[0].startswith('"at","action"')) == (2, True)
    exported = Event.objects.filter(action=Action.AUDIT_LOG_EXPORTED).order_by("at", "sequence").last()
    assert exported is not None
    assert exported.detail == {"filters": {"actor": "person:otto"}, "form": "csv"}
    assert browser.get("/audit/?export=xml").status_code == 400
    assert "list" not in visits.as_(company.mallory).get("/audit/?export=csv").context
    assert Event.objects.filter(action=Action.AUDIT_LOG_EXPORTED).count() == 2


def test_filters_match_the_event_itself(company: companies.Company) -> None:
    company.ask("now")
    event = Event.objects.get(action="request.submitted")
    log.record(
        Action.REFUSED,
        by=company.otto.principal,
        code="no_such",
        outcome="refused",
        detail={
            "said": {
                "actor": "person:alice",
                "code": "other",
                "outcome": "failure",
                "x": '"outcome":"failure","personal":{',
            },
        },
    )
    rows = Event.objects.all()
    assert event in filters.acted(rows, "person:otto")
    assert not filters.acted(rows, "person:alice").exists()
    assert not rows.filter(filters.with_outcome("failure")).exists()
    assert [each.code for each in filters.with_code(rows, "no_such")] == ["no_such"]
    assert not filters.with_code(rows, "other").exists()


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("path.cut_over", "path to a system: cut over"),
        ("tool.disabled", "disabled the tool"),
        ("webhook.made", "created the webhook"),
    ],
)
def test_an_event_without_a_phrase_of_its_own_is_still_a_sentence(action: str, says: str) -> None:

    assert str(sentences.sentence_of(action)) == says


def test_a_question_about_a_tool_without_a_system_is_shown_as_text(company: companies.Company) -> None:
    with transaction.atomic():
        log.record(
            Action.EVALUATION_DENIED, by=company.bot.principal, about=["tool:git_add", "tool:/git_add", "agent:alice"]
        )
    browser = visits.as_(company.ana)
    for query in ("", "?action=evaluation.denied", "?export=csv", "?export=jsonl"):
        answer = browser.get(f"/audit/{query}")
        assert (answer.status_code, "git_add" in visits.text(answer)) == (200, True), query
