"""The text of a chat message: what waits, its facts, and a link to its page. Opening the link decides nothing.

Names are foreign text. Slack gets them as plain text, which it does not read as markup; only the line that
notifications show is mrkdwn, and is escaped (https://docs.slack.dev/messaging/formatting-message-text).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit import clock
from entitlements.catalog.models import Tool
from governance.mail import preferences
from governance.mail.text import inert, plain
from governance.notices.models import Delivery

from . import facts

MOST: Final = 20
"""How many things the answer to a command lists; Home has them all."""
_LONGEST: Final = 300
"""How many characters of one name are shown."""


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence, pairs of a label and a value, and where to decide."""

    sentence: str
    rows: Sequence[tuple[str, str]]
    url: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits for a person: its kind, a title with names in it, its risk level and its due date."""

    kind: str
    title: str
    risk: str
    due: datetime | None


def write(delivery: Delivery, *, names_shown: bool) -> Text | None:
    """Write the message of a delivery; None where what it tells of was decided or ended meanwhile."""
    notice = delivery.notice
    if notice is None:
        sentence = _("This is a test. If you can read it, Mandate reaches you here.")
        return Text(sentence, (), f"{settings.CONSOLE_URL}{reverse('inbox')}")
    known = facts.about(notice)
    if not known.waits:
        return None
    sentence = notice.sentence if names_shown else str(facts.WITHOUT_NAMES.get(notice.kind, facts.OTHERWISE))
    rows = [(str(label), _inert(name)) for label, name in (known.names if names_shown else ())]
    if known.risk:
        rows.append((_("Risk level"), str(Tool.Risk(known.risk).label)))
    if known.due is not None:
        rows.append((_("Due"), _due(known.due, preferences.for_person(delivery.person).time_zone)))
    # The page's own address may hold a name, so the link goes by the notice.
    return Text(_inert(sentence), rows, f"{settings.CONSOLE_URL}{reverse('inbox-open', args=[notice.pk])}")


def _due(at: datetime, time_zone: str) -> str:
    shown = f"{at.astimezone(ZoneInfo(time_zone)):%Y-%m-%d %H:%M} {time_zone}"
    if (now := clock.now()) >= at:
        return _("%(time)s (overdue)") % {"time": shown}
    return _("%(time)s (in %(left)s)") % {"time": shown, "left": timeuntil(at, now, depth=1).replace("\xa0", " ")}


def _inert(text: str) -> str:
    return inert(plain(text))[:_LONGEST]


def for_slack(text: Text) -> dict[str, Any]:
    """Return `text` and `blocks` of chat.postMessage (https://docs.slack.dev/reference/block-kit)."""
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _plain(text.sentence)}]
    if text.rows:
        blocks.append({"type": "section", "fields": [_plain(f"{label}\n{value}") for label, value in text.rows]})
    open_it = {"type": "button", "action_id": "open", "style": "primary", "text": _plain(_("Open")), "url": text.url}
    blocks.append({"type": "actions", "elements": [open_it]})
    line = " ".join([text.sentence, *(f"{label}: {value}." for label, value in text.rows)])
    return {"text": _escape(line), "blocks": blocks}


def for_teams(text: Text) -> dict[str, Any]:
    """Return an activity with an Adaptive Card (https://adaptivecards.io/explorer/), whose text runs know no markup."""
    body = [_runs(text.sentence), *(_runs(f"{label}: {value}") for label, value in text.rows)]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": _("Open"), "url": text.url}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "summary": text.sentence, "attachments": [attachment]}


def _runs(text: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]}


def waiting_for_slack(rows: Sequence[Waiting], *, names_shown: bool) -> dict[str, Any]:
    """Return what waits for a person, for the answer to a command and for the app's home. Only they see it."""
    said = ngettext("%(n)d thing waits for you.", "%(n)d things wait for you.", len(rows)) % {"n": len(rows)}
    if not rows:
        return line(_("Nothing waits for you."))
    blocks = [{"type": "section", "text": _plain(said)}]
    blocks += [{"type": "section", "text": _plain(_row(row, names_shown=names_shown))} for row in rows[:MOST]]
    open_it = {"type": "button", "action_id": "open", "text": _plain(_("Open")), "url": f"{settings.CONSOLE_URL}/"}
    return {"text": _escape(said), "blocks": [*blocks, {"type": "actions", "elements": [open_it]}]}


def _row(row: Waiting, *, names_shown: bool) -> str:
    parts = [f"{row.kind}: {_inert(row.title)}" if names_shown else row.kind]
    if row.risk:
        parts.append(f"{_('Risk level')}: {Tool.Risk(row.risk).label}")
    if row.due is not None:
        parts.append(f"{_('Due')}: {_due(row.due, 'UTC')}")
    return " · ".join(parts)


def line(sentence: str) -> dict[str, Any]:
    """Return a message of one sentence."""
    return {"text": _escape(sentence), "blocks": [{"type": "section", "text": _plain(sentence)}]}


def _escape(text: str) -> str:
    """Escape the three characters with which Slack's markup begins links, mentions and entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
