"""The due date of a review as a calendar file (RFC 5545). It does not say what the review is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from audit import clock
from governance.notices import queue
from governance.reviews.campaigns.models import Campaign

TYPE: Final = "text/calendar; charset=utf-8"
_LINE: Final = 75
"""How many bytes a line has at most, without its end (section 3.1)."""
_LASTS: Final = timedelta(minutes=30)
_ENDED: Final = (Campaign.State.CANCELLED, Campaign.State.CLOSING, Campaign.State.CLOSED)


def due(campaign: Campaign) -> bytes:
    """Return a calendar entry that ends when a review is due, with a reminder a day before.

    By UID and SEQUENCE a calendar replaces the entry after the date has moved, and drops it after the review ended.
    """
    site, path = (
        settings.CONSOLE_URL,
        "small-reviews/{}/" if campaign.kind == Campaign.Kind.MICRO else "reviews/{}/work/",
    )
    summary = _("Due: %(review)s") % {"review": campaign.name}
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Mandate//Reviews//EN",
        "BEGIN:VEVENT",
        f"UID:review-{campaign.pk}@{urlsplit(site).hostname}",
        f"DTSTAMP:{_moment(clock.now())}",
        f"SEQUENCE:{campaign.version}",
        f"STATUS:{'CANCELLED' if campaign.state in _ENDED else 'CONFIRMED'}",
        f"DTSTART:{_moment(campaign.due_at - _LASTS)}",
        f"DTEND:{_moment(campaign.due_at)}",
        f"SUMMARY:{_text(summary)}",
        f"URL:{site}/{path.format(campaign.slug)}",
        "TRANSP:TRANSPARENT",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        "TRIGGER:-P1D",
        f"DESCRIPTION:{_text(summary)}",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return b"".join(_folded(line) for line in lines)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(words: str) -> str:
    """Return a name as a text value: on one line, no hidden characters, separators escaped (section 3.3.11)."""
    text = queue.plain(words)
    for each in ("\\", ";", ","):
        text = text.replace(each, f"\\{each}")
    return text


def _folded(line: str) -> bytes:
    """Return a line, folded where it is too long, never within a character."""
    parts, room = [b""], _LINE
    for letter in line:
        written = letter.encode()
        if len(parts[-1]) + len(written) > room:
            parts.append(b"")
            room = _LINE - 1
        parts[-1] += written
    return b"\r\n ".join(parts) + b"\r\n"
