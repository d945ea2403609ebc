"""The choice that a request begins with: as narrow as there is a reason for, and never wider than the offer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from audit import log
from audit.actions import Action
from governance.request_suggestions import narrowest
from governance.request_suggestions.narrowest import Choice, PastCalls, Peers
from tests import make
from tests.governance import companies
from tests.governance.console import visits

DAY = timedelta(days=1)
OFFERED = ("now", "convert", "wipe")


def _choose(wanted: str = "", peers: Peers | None = None) -> Choice:
    return narrowest.choose(OFFERED, wanted, peers or Peers(), usual=30 * DAY)


def test_a_refused_call_says_what_is_needed() -> None:
    peers = Peers(4, {"now": 4}, [DAY])
    assert _choose("convert", peers).tools == {"convert"}
    assert _choose("unheard_of", peers).tools == {"now"}


def test_else_it_is_what_at_least_half_of_the_peers_hold() -> None:
    peers = Peers(4, {"now": 4, "convert": 2, "wipe": 1, "elsewhere": 4}, [DAY, 7 * DAY, 90 * DAY])
    assert _choose(peers=peers) == Choice(frozenset({"now", "convert"}), 7 * DAY, by_peers=True, time_by_peers=True)


@pytest.mark.parametrize("peers", [Peers(), Peers(1, {"now": 1}, [DAY])])
def test_of_too_few_peers_nothing_is_learnt(peers: Peers) -> None:
    assert _choose(peers=peers) == Choice(frozenset(OFFERED), 30 * DAY, by_peers=False, time_by_peers=False)


def test_peers_never_make_it_longer_than_usual() -> None:
    assert _choose(peers=Peers(3, {"now": 3}, [90 * DAY] * 3)).lasts == 30 * DAY


def test_what_the_agent_called_or_tried_to_call_comes_before_what_peers_hold() -> None:
    past = PastCalls({"wipe": 3}, {"convert": 1, "elsewhere": 9})
    peers = Peers(4, {"now": 4}, [DAY])
    chosen = narrowest.choose(OFFERED, "", peers, usual=30 * DAY, past=past)
    assert (sorted(chosen.tools), chosen.by_past, chosen.by_peers) == (["convert", "wipe"], True, False)
    assert narrowest.choose(OFFERED, "now", peers, usual=30 * DAY, past=past).by_past is False
    assert narrowest.choose(OFFERED, "", peers, usual=30 * DAY, past=PastCalls({}, {"elsewhere": 1})).tools == {"now"}


@pytest.mark.django_db
def test_the_form_says_what_the_agent_called_of_the_system_by_the_record() -> None:
    company = companies.found()
    elsewhere = make.agent()
    for agent, action, tool in (
        (company.bot, Action.CALL_ALLOWED, "now"),
        (company.bot, Action.CALL_DENIED, "convert"),
        (elsewhere, Action.CALL_DENIED, "wipe"),
    ):
        with transaction.atomic():
            log.record(action, about=["system:clock", f"tool:clock/{tool}"], by=agent.principal)
    address = "/requests/new/?agent=research-bot&entitlement=clock:use"
    page = visits.text(visits.as_(company.otto).get(address))
    assert ("called 1 time" in page, "refused 1 time" in page) == (True, True)
    assert 'value="convert" data-tool checked' in page
    assert 'value="wipe" data-tool>' in page
    assert "called 1 time" not in visits.text(visits.as_(company.mallory).get(address))


@pytest.mark.django_db
def test_the_form_begins_with_it_and_says_why() -> None:
    company = companies.found()
    for _ in range(2):
        part = make.request(
            company.use, make.agent(owner=company.otto), by=company.otto, people=[company.bob], tools=["now"]
        )
        sponsor = part.agent.sponsor
        visits.as_(sponsor).post(f"/requests/{part.pk}/", {"verb": "approve", "version": 1, "tool": ["now"]})
    address = "/requests/new/?agent=research-bot&entitlement=clock:use"
    page = visits.text(visits.as_(company.otto).get(address))
    assert 'value="now" data-tool checked' in page
    assert 'value="wipe" data-tool>' in page
    assert '<option value="28800" selected>' in page
    assert "2 of 2 other agents hold it" in page
    assert "0 of 2 other agents hold it" in page


def test_of_what_peers_hold_it_is_what_the_purpose_speaks_of_if_it_speaks_of_any() -> None:
    said = {"list_invoices": "Lists invoices.", "payOut": "Pays money out.", "now": "Tells the time."}
    assert narrowest.fitting("Matches invoices with what was paid out", said) == {"list_invoices"}
    assert narrowest.fitting("Only needs this", said) == frozenset()
    peers = Peers(4, {"now": 4, "convert": 4}, [DAY])
    chosen = narrowest.choose(OFFERED, "", peers, usual=DAY, fits={"convert", "wipe"})
    assert (chosen.tools, chosen.by_purpose) == (frozenset({"convert"}), True)
    assert narrowest.choose(OFFERED, "", peers, usual=DAY, fits={"wipe"}).tools == {"now", "convert"}
    assert narrowest.choose(OFFERED, "", Peers(), usual=DAY, fits={"wipe"}).tools == {"wipe"}


@pytest.mark.django_db
def test_an_approver_sees_the_suggestion_and_what_was_called() -> None:
    company = companies.found()
    company.bot.purpose = "Converts between time zones."
    company.bot.save()
    asked = company.ask("now", "convert", by=company.otto)
    page = visits.as_(company.sofia)
    shown = visits.text(page.get(f"/requests/{asked.pk}/"))
    assert shown.count("suggested: it fits the agent's purpose") == 1
    links = [f"agent:{company.bot.slug}", "system:clock", "tool:clock/now"]
    with transaction.atomic():
        log.record(Action.CALL_ALLOWED, about=links, by=company.bot.principal)
    shown = visits.text(page.get(f"/requests/{asked.pk}/"))
    assert ("suggested: the agent called it" in shown, "called 1 time" in shown) == (True, True)
    assert "suggested:" not in visits.text(visits.as_(company.otto).get(f"/requests/{asked.pk}/"))
