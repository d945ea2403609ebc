"""Causes of event-triggered reviews as sentences; text that a server or a person wrote stays apart, in `notes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from governance.reviews.event_triggered.models import ReviewTrigger

from .causes import Kind

TITLES: Final[Mapping[str, Any]] = {
    Kind.COMBINATION: gettext_lazy("SoD violation"),
    Kind.TOOL_CHANGED: gettext_lazy("A tool changed"),
    Kind.IRREVERSIBLE_USE: gettext_lazy("First use of an irreversible tool"),
    Kind.LEAVER: gettext_lazy("An owner left"),
    Kind.DELEGATE_LEFT: gettext_lazy("A person it acts for left"),
    Kind.DORMANT: gettext_lazy("Dormant agent"),
    Kind.BY_RULE: gettext_lazy("Auto-approved a week ago"),
    Kind.AGENT_CHANGED: gettext_lazy("The agent changed"),
    Kind.REACH_GREW: gettext_lazy("The blast radius grew"),
    Kind.DENIALS: gettext_lazy("Many denied calls"),
    Kind.NEW_OFFICE: gettext_lazy("Ownership changed"),
    Kind.MOVED: gettext_lazy("An owner has a new manager"),
    Kind.ENDS_SOON: gettext_lazy("Access ends soon"),
    Kind.SPOT_CHECK: gettext_lazy("A spot check disagrees"),
    Kind.RISK_SIGNAL: gettext_lazy("A risk signal"),
}
"""The causes, as the titles of their reviews."""

_SENTENCES: Final[Mapping[str, Any]] = {
    Kind.COMBINATION: gettext_lazy("The agent violates the SoD policy “%(rule)s”."),
    Kind.TOOL_CHANGED: gettext_lazy("%(tool)s changed after its approval."),
    Kind.IRREVERSIBLE_USE: gettext_lazy(
        "The agent used %(tool)s for the first time on %(day)s: %(calls)s calls. The tool cannot be undone."
    ),
    Kind.DELEGATE_LEFT: gettext_lazy("%(name)s left. The agent acts for this person."),
    Kind.DORMANT: gettext_lazy("The agent is dormant: it has no recent use."),
    Kind.BY_RULE: gettext_lazy("An auto-approval rule approved %(what)s a week ago. No person has reviewed it."),
    Kind.REACH_GREW: gettext_lazy("The blast radius rose from %(before)s to %(after)s of 100."),
    Kind.DENIALS: gettext_lazy("%(denied)s calls were denied on %(day)s. Usual are %(usual)s a day."),
    Kind.ENDS_SOON: gettext_lazy("%(what)s expires on %(day)s. Is it needed until then?"),
    Kind.RISK_SIGNAL: gettext_lazy("A risk signal was noted: %(signal)s. The risk level is %(level)s."),
    Kind.SPOT_CHECK: gettext_lazy("It was kept in “%(review)s”. A spot check would keep less."),
}

_GREW_BY_SEVERAL: Final = gettext_lazy(
    "The blast radius rose from %(before)s to %(after)s of 100, through %(grants)s accesses since its last review."
)


@dataclass(frozen=True, slots=True)
class Happened:
    """One event as a sentence. `notes` are texts that others wrote, `sides` the tools on each side of an SoD policy."""

    sentence: str
    at: datetime | None
    notes: tuple[str, ...] = ()
    sides: tuple[tuple[str, ...], ...] = ()


def happened(trigger: ReviewTrigger) -> list[Happened]:
    """Return the events that a review is about, in the order in which they happened."""
    return [
        Happened(
            sentence=_sentence(trigger.kind, fact),
            at=parse_datetime(str(fact.get("at", ""))),
            notes=tuple(str(note) for note in _notes(fact)),
            sides=tuple(tuple(str(tool) for tool in side) for side in fact.get("sides", [])),
        )
        for fact in trigger.facts
    ]


def _sentence(kind: str, fact: Mapping[str, Any]) -> str:
    match kind:
        case Kind.LEAVER:
            sentence = _("The sponsor %(name)s left.") if fact.get("office") == "sponsor" else ""
            return (sentence or _("The technical owner %(name)s left.")) % {"name": fact.get("name", "")}
        case Kind.MOVED:
            sentence = _("The sponsor %(name)s has a new manager: %(to)s, before %(from)s.")
            if fact.get("office") != "sponsor":
                sentence = _("The technical owner %(name)s has a new manager: %(to)s, before %(from)s.")
            return sentence % _Known(fact)
        case Kind.NEW_OFFICE if fact.get("from"):
            return _("Ownership moved from %(from)s to %(to)s.") % dict(fact)
        case Kind.NEW_OFFICE:
            return _("Ownership moved to %(to)s.") % {"to": fact.get("to", "")}
        case Kind.AGENT_CHANGED:
            return _changed(fact)
    together = kind == Kind.REACH_GREW and fact.get("grants", 1) > 1
    return str(_GREW_BY_SEVERAL if together else _SENTENCES[kind]) % _Known(fact)


class _Known(dict[str, Any]):
    """A fact whose missing parts read as empty text."""

    def __missing__(self, _key: str) -> str:
        return ""


def _changed(fact: Mapping[str, Any]) -> str:
    changed = fact.get("changed", [])
    if "model" in changed:
        return _("The model changed from %(before)s to %(now)s.") % {"now": fact["now"], "before": fact["before"]}
    if "prompt_sha256" in changed:
        return _("The prompt changed.")
    return _("The metadata of the client changed.")


def _notes(fact: Mapping[str, Any]) -> list[Any]:
    return [*fact.get("difference", []), *(fact[name] for name in ("sentence", "reason") if fact.get(name))]
