"""Template tags for states, times, people and untrusted text: each state as word and shape."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django import template
from django.http import HttpRequest
from django.template.defaultfilters import capfirst
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from audit import clock
from entitlements.decisions import limits
from entitlements.decisions.limits import LimitMalformed
from entitlements.definitions import impressions
from entitlements.people.models import Person
from entitlements.people_sources.models import SourcedPerson
from governance.conflicts_of_interest.routing import GROUP
from governance.people import queries as people_queries
from governance.reviews.decisions.models import Draft

register = template.Library()

_SHAPES: Final = {
    "disc": '<circle cx="5" cy="5" r="4"/>',
    "ring": '<circle cx="5" cy="5" r="3.2" fill="none" stroke="currentColor" stroke-width="1.6"/>',
    "half": '<circle cx="5" cy="5" r="3.2" fill="none" stroke="currentColor" stroke-width="1.6"/>'
    '<path d="M5 1.2a3.8 3.8 0 0 1 0 7.6z"/>',
    "triangle": '<path d="M5 .8 9.6 9H.4z"/>',
    "diamond": '<path d="M5 .2 9.8 5 5 9.8.2 5z"/>',
    "square": '<path d="M1.2 1.2h7.6v7.6H1.2z"/>',
    "bars": '<path d="M1.6 1h2.6v8H1.6zM5.8 1h2.6v8H5.8z"/>',
    "cross": '<path d="M1 2.4 2.4 1 5 3.6 7.6 1 9 2.4 6.4 5 9 7.6 7.6 9 5 6.4 2.4 9 1 7.6 3.6 5z"/>',
    "check": '<path d="M3.9 8.4.8 5.3l1.3-1.3 1.8 1.8L7.9 1.6l1.3 1.3z"/>',
    "octagon": '<path d="M3 .6h4L9.4 3v4L7 9.4H3L.6 7V3z"/>',
}
# A state's tone, shape and word. The tone never stands alone.
_STATES: Final[Mapping[str, tuple[str, str, Any]]] = {
    "active": ("good", "disc", gettext_lazy("Active")),
    "approved": ("good", "check", gettext_lazy("Approved")),
    "success": ("good", "check", gettext_lazy("Done")),
    "allowed": ("good", "check", gettext_lazy("Allowed")),
    "depends": ("calm", "half", gettext_lazy("Depends on the arguments")),
    "staged": ("calm", "ring", gettext_lazy("Pending")),
    "suspended": ("bad", "bars", gettext_lazy("Suspended")),
    "retired": ("calm", "cross", gettext_lazy("Retired")),
    "disabled": ("bad", "bars", gettext_lazy("Disabled")),
    "left": ("bad", "cross", gettext_lazy("Left")),
    "hidden": ("calm", "ring", gettext_lazy("Unused")),
    "closed": ("warn", "bars", gettext_lazy("Unused, gets no token")),
    "deleted": ("calm", "cross", gettext_lazy("Unused, put away")),
    "pending": ("warn", "ring", gettext_lazy("Waits for first review")),
    "quarantined": ("warn", "triangle", gettext_lazy("Changed, waits for review")),
    "removed": ("calm", "cross", gettext_lazy("No longer offered")),
    "in_approval": ("warn", "half", gettext_lazy("Waiting for approval")),
    "accepted": ("good", "check", gettext_lazy("Accepted")),
    "replaced": ("calm", "cross", gettext_lazy("Replaced by a newer one")),
    "lapsed": ("calm", "ring", gettext_lazy("Not accepted in time")),
    "waiting": ("warn", "half", gettext_lazy("Waiting")),
    "denied": ("bad", "cross", gettext_lazy("Denied")),
    "refused": ("bad", "cross", gettext_lazy("Refused")),
    "failure": ("bad", "cross", gettext_lazy("Failed")),
    "unknown": ("warn", "diamond", gettext_lazy("Unknown")),
    "cancelled": ("calm", "cross", gettext_lazy("Withdrawn")),
    "expired": ("calm", "ring", gettext_lazy("Ended in time")),
    "not_answered": ("calm", "ring", gettext_lazy("Not answered in time")),
    "revoked": ("bad", "cross", gettext_lazy("Revoked")),
    "ended": ("calm", "cross", gettext_lazy("Ended")),
    "unexcepted": ("bad", "triangle", gettext_lazy("Open, without exception")),
    "void": ("calm", "ring", gettext_lazy("No longer needed")),
    "idle": ("calm", "ring", gettext_lazy("Idle too long")),
    "running": ("calm", "half", gettext_lazy("Running")),
    "finished": ("good", "check", gettext_lazy("Finished")),
    "failed": ("bad", "cross", gettext_lazy("Failed")),
    "not_started": ("calm", "ring", gettext_lazy("Not begun")),
}
_RISKS: Final[Mapping[str, tuple[str, str, Any]]] = {
    "low": ("calm", "ring", gettext_lazy("Low risk")),
    "medium": ("calm", "half", gettext_lazy("Medium risk")),
    "high": ("warn", "triangle", gettext_lazy("High risk")),
    "critical": ("bad", "octagon", gettext_lazy("Critical risk")),
}
_ACTIONS: Final[Mapping[str, Any]] = {
    "read": gettext_lazy("Reads"),
    "write": gettext_lazy("Changes things"),
    "delete": gettext_lazy("Deletes things"),
    "execute": gettext_lazy("Runs commands"),
}
REASONS: Final[Mapping[str, Any]] = {
    "business_need": gettext_lazy("The business needs it"),
    "seasonal": gettext_lazy("It is needed from time to time"),
    "break_glass": gettext_lazy("It is break-glass access"),
    "mandated": gettext_lazy("A law or a contract requires it"),
    "unused": gettext_lazy("It is not used"),
    "wrong_scope": gettext_lazy("It allows too much"),
    "not_appropriate": gettext_lazy("It was never appropriate"),
    "owner_gone": gettext_lazy("The agent is orphaned"),
    "project_ended": gettext_lazy("The project has ended"),
    "duplicate": gettext_lazy("Other access covers it"),
    "risk": gettext_lazy("Its risk level is too high"),
    "drifted": gettext_lazy("It changed after the approval"),
    "not_mine": gettext_lazy("I am not the right reviewer"),
    "dont_understand": gettext_lazy("I do not understand it"),
    "conflict": gettext_lazy("I have a conflict of interest"),
    "need_info": gettext_lazy("I need more information"),
}
"""The reasons of a reviewer's decision."""
_TURNING: Final = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI"})
"""Bidirectional classes that reorder neighbouring characters."""
_RULES: Final[Mapping[str, Any]] = {
    "sponsor": gettext_lazy("sponsor of the agent"),
    "system_owner": gettext_lazy("owner of the system"),
    "manager": gettext_lazy("manager of the sponsor"),
    "security": gettext_lazy("security approver"),
    "holder": gettext_lazy("holder of the access"),
    "admin": gettext_lazy("administrator of Mandate"),
    "reassigned": gettext_lazy("reassigned by a person"),
    "claimed": gettext_lazy("claimed the unassigned item"),
    "campaign_owner": gettext_lazy("owner of the review, as fallback reviewer"),
}
_WHY: Final[Mapping[str, Any]] = {
    "requested_it": gettext_lazy("self-certification: requested it"),
    "benefits": gettext_lazy("self-certification: the agent acts for them"),
    "owns_the_agent": gettext_lazy("conflict of interest: technical owner of the agent"),
    "inactive": gettext_lazy("left or disabled"),
    "approved_it_lately": gettext_lazy("self-certification: approved it recently"),
    "answered_another_stage": gettext_lazy("decided the other stage"),
    "could_not_judge": gettext_lazy("chose Don't know"),
    "has_enough_to_review": gettext_lazy("has too many items already"),
    "their_own": gettext_lazy("self-certification: it is their own"),
    "mail_came_back": gettext_lazy("mail to them is returned"),
    "gave_it_at_their_system": gettext_lazy("self-certification: assigned it at their own system"),
    "sees_the_answer": gettext_lazy("has seen the decision"),
    "fewer_than_two_people": gettext_lazy("has fewer than two active members"),
}
_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"))


@register.simple_tag
def shape(name: str) -> SafeString:
    """Draw a small shape that says the same as the word beside it."""
    drawing = mark_safe(_SHAPES[name])  # noqa: S308 - our own constants
    return format_html(
        '<svg class="shape" viewBox="0 0 10 10" aria-hidden="true" focusable="false" fill="currentColor">{}</svg>',
        drawing,
    )


@register.simple_tag
def drawing(svg: str) -> SafeString:
    """Show a plot: drawn by `governance/charts/plots.py` from numbers, without untrusted text."""
    return mark_safe(svg)  # noqa: S308 - our own drawing; its few names are escaped there


def _chip(tone: str, drawing: str, word: object) -> SafeString:
    return format_html('<span class="status {}">{}{}</span>', tone, shape(drawing), word)


@register.simple_tag
def status(state: str) -> SafeString:
    """Show a state as shape and word; an unknown state as its own name."""
    return _chip(*_STATES.get(state, ("calm", "diamond", capfirst(state.replace("_", " ")))))


@register.simple_tag
def person_status(person: Person) -> SafeString:
    """Show a person's state: active, left where a people source says so, otherwise disabled."""
    if person.is_active:
        return status("active")
    entry: SourcedPerson | None = getattr(person, "sourced", None)
    return status("left" if entry is not None and entry.left_at is not None else "disabled")


@register.simple_tag
def risk(level: str) -> SafeString:
    """Show a risk level as shape and word."""
    return _chip(*_RISKS.get(level, ("warn", "diamond", level)))


@register.inclusion_tag("console/last_sync.html")
def last_sync() -> dict[str, Any]:
    """Show the people sources, and when each of them last sent data."""
    return {"syncs": people_queries.last()}


@register.filter
def does(action: str) -> str:
    """Say what a tool does to the world."""
    return str(_ACTIONS.get(action, action))


@register.filter
def reason_label(code: str) -> str:
    """Return a reviewer's reason in words."""
    return str(REASONS.get(code, code))


@register.filter
def reviewer_rule(rule: str) -> str:
    """Say by which rule of the reviewer assignment a person is the reviewer."""
    group = rule.removeprefix(GROUP)
    if group != rule:
        name = people_queries.group_name(group)
        return _("member of the group %(group)s, as fallback reviewer") % {"group": name}
    return str(_RULES.get(rule, rule))


@register.filter
def conflict_label(why: str) -> str:
    """Return why a person may not review an item."""
    return str(_WHY.get(why, why))


@register.filter
def passed_over(skip: Mapping[str, str] | str) -> str:
    """Return who was passed over as a reviewer, and why; the evidence holds it as one text."""
    who, _colon, why = skip.partition(": ") if isinstance(skip, str) else (skip["who"], "", skip["why"])
    group = who.removeprefix(GROUP)
    who = who if group == who else _("the group %(group)s") % {"group": people_queries.group_name(group)}
    return f"{who} ({_WHY.get(why, why)})"


@register.simple_tag
def moment(at: datetime | None, *, exact: bool = False) -> SafeString | str:
    """Show how far a time is from now, with the exact time in a tooltip; `exact` shows both.

    The tooltip is in UTC; a script converts it and the shown time to the reader's zone.
    """
    if at is None:
        return "-"
    utc = at.astimezone(UTC)
    shown = (
        format_html(
            '<span class="at">{}</span><span class="ago"> · {}</span>',
            utc.strftime("%-d %b %Y, %H:%M UTC"),
            relative(utc),
        )
        if exact
        else relative(utc)
    )
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        shown,
    )


@register.filter
def relative(at: datetime) -> str:
    """Return how far a time is from now."""
    ahead = (at - clock.now()).total_seconds()
    distance = spoken(timedelta(seconds=abs(ahead)))
    if abs(ahead) < 45:  # noqa: PLR2004 - under a minute either way
        return _("now")
    return _("in %(time)s") % {"time": distance} if ahead > 0 else _("%(time)s ago") % {"time": distance}


@register.filter
def spoken(lasts: timedelta) -> str:
    """Return a duration in its largest fitting unit: 30 days, 8 hours, 5 minutes."""
    seconds = int(lasts.total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            count = round(seconds / size)
            words = {
                "day": ngettext("%(n)d day", "%(n)d days", count),
                "hour": ngettext("%(n)d hour", "%(n)d hours", count),
                "minute": ngettext("%(n)d minute", "%(n)d minutes", count),
            }
            return words[unit] % {"n": count}
    return ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds}


@register.filter
def within(written: Mapping[str, Any]) -> list[str]:
    """Return limits in sentences; limits that cannot be read cover nothing."""
    try:
        return limits.describe(written)
    except LimitMalformed:
        return [_("These limits cannot be read, so nothing is allowed.")]


@register.simple_tag
def foreign(text: object) -> SafeString:
    """Show untrusted text: escaped, isolated in its direction, with hidden characters written out and counted."""
    plain = str(text if text is not None else "")
    if plain.isascii() and plain.isprintable():
        return format_html("{}", plain)  # it can hide nothing
    signs = impressions.signs(plain)
    hidden = impressions.hidden(plain)
    words = []
    if hidden:
        words.append(ngettext("%(n)d hidden character", "%(n)d hidden characters", hidden) % {"n": hidden})
    if signs.get(impressions.Sign.MIXED_SCRIPTS):
        words.append(_("letters of several alphabets in one word"))
    if not words:
        turns = any(unicodedata.bidirectional(character) in _TURNING for character in plain)
        return format_html("<bdi>{}</bdi>", plain) if turns else format_html("{}", plain)
    return format_html(
        '<bdi class="foreign">{}</bdi> <strong class="status warn">{}{}</strong>',
        impressions.visible(plain),
        shape("triangle"),
        ", ".join(words),
    )


@register.simple_tag(takes_context=True)
def this_page(context: Mapping[str, Any], **changes: object) -> str:
    """Return this page's address with some parameters changed, and always from the first page on."""
    request: HttpRequest = context["request"]
    query = request.GET.copy()
    query.pop("cursor", None)
    for name, value in changes.items():
        if value in (None, ""):
            query.pop(name, None)
        else:
            query[name] = str(value)
    return f"{request.path}?{query.urlencode()}" if query else request.path


@register.filter
def figure(value: float) -> str:
    """Write a number with its thousands apart."""
    return f"{value:,.10g}"


@register.simple_tag
def spread(name: str, bounds: Sequence[float]) -> SafeString:
    """Return between which numbers an argument was."""
    least, most = map(figure, bounds)
    if least == most:
        return format_html(_("{} was always {}"), foreign(name), least)
    return format_html(_("{} was {} to {}"), foreign(name), least, most)


@register.filter
def for_draft(drawn: Mapping[str, SafeString], draft: Draft | None) -> SafeString:
    """Return what is drawn with the reason of a draft chosen, or with none."""
    return drawn[draft.reason_code if draft else ""]


@register.filter
def limits_of(draft: Draft | None) -> str:
    """Return the tighter limits of a draft as JSON, by line; empty where it has none."""
    return json.dumps(draft.limits) if draft and draft.limits else ""


@register.filter
def as_moment(text: str | None) -> datetime | None:
    """Read a time that is stored as text."""
    return datetime.fromisoformat(text) if text else None
