"""The due date of a review as a calendar file (RFC 5545). It does not say what the review is about."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _
from icalendar import Alarm, Calendar, Event

from audit import clock
from governance.mail import text
from governance.reviews.campaigns.models import Campaign

TYPE: Final = "text/calendar; charset=utf-8"
_LASTS: Final = timedelta(minutes=30)
_ENDED: Final = (Campaign.State.CANCELLED, Campaign.State.CLOSING, Campaign.State.CLOSED)


def due(campaign: Campaign) -> bytes:
    """Return a calendar entry that ends when a review is due, with a reminder a day before.

    By UID and SEQUENCE a calendar replaces the entry after the date has moved, and drops it after the review ended.
    A name stands on one line, without hidden characters.
    """
    site, ends = settings.CONSOLE_URL, campaign.due_at.astimezone(UTC)
    path = "event-triggered-reviews/{}/" if campaign.kind == Campaign.Kind.MICRO else "reviews/{}/work/"
    summary = text.plain(_("Due: %(review)s") % {"review": campaign.name})
    entry, reminder, calendar = Event(), Alarm(), Calendar()
    for name, value in (
        ("uid", f"review-{campaign.pk}@{urlsplit(site).hostname}"),
        ("dtstamp", clock.now().astimezone(UTC)),
        ("sequence", campaign.version),
        ("status", "CANCELLED" if campaign.state in _ENDED else "CONFIRMED"),
        ("dtstart", ends - _LASTS),
        ("dtend", ends),
        ("summary", summary),
        ("url", f"{site}/{path.format(campaign.slug)}"),
        ("transp", "TRANSPARENT"),
    ):
        entry.add(name, value)
    reminder.add("action", "DISPLAY")
    reminder.add("trigger", timedelta(days=-1))
    reminder.add("description", summary)
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//Mandate//Reviews//EN")
    entry.add_component(reminder)
    calendar.add_component(entry)
    return bytes(calendar.to_ical())
