"""The audit explorer: facets, names instead of ids, traces, what led to an event, exports as filtered."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from audit.actions import Action
from audit.models import Event
from governance.audit_log.queries import explorer, filters, sentences, trace
from tests import make
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> companies.Company:
    return companies.found()


def _events(response: Any) -> list[str]:  # noqa: ANN401 - Django's test response
    return [entry.event.action for entry in response.context["timeline"].events]


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
    counted = {facet.name: {each.value: each.count for each in facet.choices} for facet in _facets(browser)}
    assert counted["action"]["request.submitted"] == 1


def _facets(browser: Any) -> list[explorer.Facet]:  # noqa: ANN401 - a test client
    facets: list[explorer.Facet] = browser.get("/audit/").context["facets"]
    return facets


def test_an_outcome_is_found_by_what_the_event_says_and_not_by_its_details(company: companies.Company) -> None:
    visits.as_(company.mallory).post("/stop/everything/", {"reason": "x", "typed": "everything"})  # refused, recorded
    refused = _events(visits.as_(company.ana).get("/audit/?outcome=refused"))
    assert refused == ["attempt.refused"]
    event = Event.objects.get(action=Action.REFUSED)
    code = visits.as_(company.ana).get(f"/audit/?code={event.code}")
    assert _events(code) == ["attempt.refused"]


def test_a_search_that_no_index_serves_stops_at_its_window_and_goes_on(
    company: companies.Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits.as_(company.mallory).post("/stop/everything/", {"reason": "x", "typed": "everything"})
    for number in range(4):
        make.agent(f"bot-{number}", sponsor=company.sam, owner=company.bob)
    monkeypatch.setattr(explorer, "WINDOW", 1)
    browser = visits.as_(company.ana)
    address, seen = "/audit/?outcome=refused", 0
    while page := browser.get(address).context["timeline"]:
        seen += len(page.events)
        if page.next is None:
            break
        address = f"/audit/?outcome=refused&cursor={page.next}"
    assert (seen, page.next) == (1, None)


def test_one_event_tells_what_led_to_it_and_what_followed(company: companies.Company) -> None:
    asked = company.ask("now")
    form = {"verb": "approve", "version": asked.version, "tool": ["now"]}
    visits.as_(company.sofia).post(f"/requests/{asked.pk}/", form)
    given = Event.objects.get(action="approval.given")
    told = visits.as_(company.ana).get(f"/audit/?about=event:{given.uuid}").context
    assert [entry.event.action for entry in told["before"]][:1] == ["request.submitted"]
    assert "grant.issued" in [entry.event.action for entry in told["after"]]
    waterfall = visits.as_(company.ana).get(f"/audit/?about=trace:{given.trace}").context["steps"]
    assert waterfall[0].entry.event.action == "request.submitted"
    assert waterfall[0].x == 0
    assert all(step.x + step.width <= trace._WIDE + trace._THINNEST for step in waterfall)


def test_an_export_holds_exactly_what_is_filtered_and_is_recorded(company: companies.Company) -> None:
    company.ask("now")
    browser = visits.as_(company.ana)
    lines = visits.text(browser.get("/audit/?actor=person:otto&export=jsonl")).splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["request.submitted"]
    table = visits.text(browser.get("/audit/?actor=person:otto&export=csv")).splitlines()
    assert (len(table), table[0].startswith('"at","action"')) == (2, True)
    exported = Event.objects.filter(action=Action.AUDIT_LOG_EXPORTED).order_by("at", "sequence").last()
    assert exported is not None
    assert exported.detail == {"filters": {"actor": "person:otto"}, "form": "csv"}
    assert browser.get("/audit/?export=xml").status_code == 400
    assert "timeline" not in visits.as_(company.mallory).get("/audit/?export=csv").context


def test_filters_match_the_event_itself(company: companies.Company) -> None:
    company.ask("now")
    event = Event.objects.get(action="request.submitted")
    assert filters.Filters(actor="person:otto").match(event)
    assert not filters.Filters(actor="person:alice").match(event)
    assert not filters.Filters(outcome="refused").match(event)


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
