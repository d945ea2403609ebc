"""The due date of a review as a file for a calendar: by page and over REST, for whoever sees the review."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from governance.reviews.campaigns import pause
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import calendar
from tests import shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)

type Move = Callable[[datetime | timedelta], datetime]


def _read(written: bytes) -> dict[str, str]:
    """Read it as a calendar does (RFC 5545, 3.1): lines put together again; a name that comes twice keeps the first."""
    assert written.endswith(b"\r\n")
    lines = written.replace(b"\r\n ", b"").decode().split("\r\n")[:-1]
    assert not any("\n" in line or "\r" in line for line in lines)
    assert [line for line in lines if line.startswith(("BEGIN", "END"))] == [
        *("BEGIN:VCALENDAR", "BEGIN:VEVENT", "BEGIN:VALARM", "END:VALARM", "END:VEVENT", "END:VCALENDAR")
    ]
    return dict(line.split(":", 1) for line in reversed(lines))


def test_a_reviewer_takes_the_due_date_into_her_calendar_by_page_and_over_rest(company: Company) -> None:
    _grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    sofia = visits.as_(company.sofia)
    assert 'href="/reviews/q4/due.ics"' in visits.text(sofia.get("/reviews/q4/work/"))

    by_page, by_rest = sofia.get("/reviews/q4/due.ics"), api.of(company.sofia).get("/api/v1/campaigns/q4/due.ics")

    for answer in (by_page, by_rest):
        assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="due-q4.ics"'
        entry = _read(answer.content)
        assert entry["DTEND"] == f"{campaign.due_at:%Y%m%dT%H%M%SZ}"
        assert (entry["SUMMARY"], entry["STATUS"]) == ("Due: Fourth quarter", "CONFIRMED")
        assert entry["URL"].endswith("/reviews/q4/work/")
    assert visits.as_(company.mallory).get("/reviews/q4/due.ics").status_code == 404


def test_a_date_that_moves_and_a_review_that_ends_replace_the_entry(company: Company, at: Move) -> None:
    _grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    before = _read(calendar.due(campaign))
    pause.pause(campaign.pk, by=company.ana, reason="Month end.")
    at(timedelta(days=2))
    moved = _read(calendar.due(pause.resume(campaign.pk, by=company.ana)))
    assert moved["UID"] == before["UID"]
    assert int(moved["SEQUENCE"]) > int(before["SEQUENCE"])
    assert moved["DTEND"] > before["DTEND"]
    assert _read(calendar.due(pause.cancel(campaign.pk, by=company.ana, reason="No.")))["STATUS"] == "CANCELLED"


def test_no_name_adds_a_line_or_hides_something_and_no_letter_is_torn_apart(company: Company) -> None:
    _grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    campaign.name = "Ä" * 80 + "; a,b\\\r\nEND:VEVENT\n\u202eATTENDEE:mailto:eve"
    written = calendar.due(campaign)
    assert all(len(line) <= 75 for line in written.split(b"\r\n"))
    assert all(line.decode() is not None for line in written.split(b"\r\n"))
    assert _read(written)["SUMMARY"] == "Due: " + "Ä" * 80 + "\\; a\\,b\\\\ END:VEVENT ATTENDEE:mailto:eve"


def test_an_entry_of_a_small_review_leads_to_its_page(company: Company) -> None:
    _grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    campaign.kind = Campaign.Kind.MICRO
    assert _read(calendar.due(campaign))["URL"].endswith("/event-triggered-reviews/q4/")
