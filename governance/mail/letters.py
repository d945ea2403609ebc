"""The text of a mail: plain text with links to pages of the console. Opening a link decides nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from entitlements.definitions import impressions
from governance.notices.models import Delivery, Notice, NoticeSettings

MOST: Final = 50
"""How many notices one mail lists; the inbox has them all."""
LONGEST: Final = 500
"""How long the sentence of a notice is at most."""
_SUBJECT: Final = 150
_HOST: Final = re.compile(r"[.\u3002\uff0e\uff61](?=[^\W\d_]{2})")
"""A dot before letters, in any of the forms that a name of a host has (RFC 3490, section 3.1)."""


def write(delivery: Delivery, notices: Sequence[Notice], chosen: NoticeSettings) -> EmailMessage:
    """Write the mail of a delivery, in the time of the zone that the person chose."""
    if delivery.channel == Delivery.Channel.URGENT:
        subject = inert(notices[0].sentence)
    else:
        subject = ngettext("%(n)d thing to look at", "%(n)d things to look at", len(notices)) % {"n": len(notices)}
    parts = [_paragraph(notice, chosen) for notice in notices[:MOST]]
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
    at = notice.made_at.astimezone(ZoneInfo(chosen.time_zone))
    return f"{inert(notice.sentence)}\n{at:%Y-%m-%d %H:%M} {chosen.time_zone}\n{settings.CONSOLE_URL}{notice.url}"


def plain(text: str) -> str:
    """Return a text on one line, without invisible or direction-changing characters, cut to the column's length."""
    return "".join(character for character in " ".join(text.split()) if not impressions.hidden(character))[:LONGEST]


def inert(sentence: str) -> str:
    """Change a foreign text so that mail programs make no link of an address or a host name in it."""
    return _HOST.sub(". ", sentence.replace("://", ": //"))
