"""The text of a mail: plain text with links to pages of the console. Opening a link decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from governance.notices.models import Delivery, Notice, NoticeSettings

from . import text, things
from .things import Thing

MOST: Final = 50
"""How many notices one mail lists; the inbox has them all."""
_SUBJECT: Final = 150


def write(delivery: Delivery, notices: Sequence[Notice], chosen: NoticeSettings) -> EmailMessage:
    """Write the mail of a delivery, in the time of the zone that the person chose."""
    if delivery.channel == Delivery.Channel.URGENT:
        subject = text.inert(notices[0].sentence)
        parts = [_paragraph(notice, chosen) for notice in notices[:MOST]]
    else:
        count = len({notice.about for notice in notices})
        subject = ngettext("%(n)d thing to look at", "%(n)d things to look at", count) % {"n": count}
        listed = things.group(notices[:MOST])
        names = things.names(listed)
        parts = [_section(thing, names[thing.about], chosen) for thing in listed]
    if len(notices) > MOST:
        parts.append(_("And %(n)d more, in your inbox.") % {"n": len(notices) - MOST})
    parts.append(_("Everything: %(url)s") % {"url": f"{settings.CONSOLE_URL}/inbox/"})
    parts.append(
        _("The links open pages; opening them decides nothing. When you are mailed, and of what: %(url)s")
        % {"url": f"{settings.CONSOLE_URL}/settings/notices/"}
    )
    return EmailMessage(
        f"Mandate: {subject}"[:_SUBJECT],
        "\n\n".join(parts) + "\n",
        to=[delivery.person.email],
        headers={  # the same Message-ID at each attempt; out-of-office responders stay silent (RFC 3834)
            "Message-ID": f"<{delivery.pk}@{urlsplit(settings.CONSOLE_URL).hostname}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def _paragraph(notice: Notice, chosen: NoticeSettings) -> str:
    return f"{text.inert(notice.sentence)}\n{_moment(notice, chosen)}\n{settings.CONSOLE_URL}{notice.url}"


def _section(thing: Thing, name: str, chosen: NoticeSettings) -> str:
    """Return what happened to one thing: its name and page, and a line for each notice."""
    lines = [text.inert(text.plain(name)), f"{settings.CONSOLE_URL}{thing.url}"]
    for notice in thing.notices:
        sentence = text.inert(notice.sentence)
        lines.append("- " + (_("Urgent: %(sentence)s") % {"sentence": sentence} if notice.urgent else sentence))
        lines.append(f"  {_moment(notice, chosen)}")
        if notice.url != thing.url:
            lines.append(f"  {settings.CONSOLE_URL}{notice.url}")
    return "\n".join(lines)


def _moment(notice: Notice, chosen: NoticeSettings) -> str:
    return f"{notice.made_at.astimezone(ZoneInfo(chosen.time_zone)):%Y-%m-%d %H:%M} {chosen.time_zone}"
