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

_SENTENCES: Final[Mapping[str, Any]] = {
    Kind.COMBINATION: gettext_lazy("It holds tools that no agent may hold together by the rule “%(rule)s”."),
    Kind.TOOL_CHANGED: gettext_lazy("%(tool)s is no longer the tool that was approved."),
    Kind.IRREVERSIBLE_USE: gettext_lazy(
        "It used %(tool)s for the first time on %(day)s: %(calls)s calls. What that does cannot be undone."
    ),
    Kind.DELEGATE_LEFT: gettext_lazy("%(name)s, for whom it acts, has left."),
    Kind.DORMANT: gettext_lazy("It has not been used for a long time."),
    Kind.BY_RULE: gettext_lazy("A rule approved %(what)s a week ago, and no person has looked at it."),
    Kind.REACH_GREW: gettext_lazy("What it could do at its worst rose from %(before)s to %(after)s of 100."),
    Kind.DENIALS: gettext_lazy("%(denied)s of its calls were denied on %(day)s; usual are %(usual)s a day."),
    Kind.ENDS_SOON: gettext_lazy(
        "%(what)s ends by itself on %(day)s; this asks whether it is still needed until then."
    ),
    Kind.SPOT_CHECK: gettext_lazy("It was kept in “%(review)s”, and a spot check would keep less of it."),
}

_GREW_BY_SEVERAL: Final = gettext_lazy(
    "What it could do at its worst rose from %(before)s to %(after)s of 100, by %(grants)s accesses that it was given "
    "since a person last looked at all of it."
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
            sentence = _("%(name)s, who sponsors it, has left.") if fact.get("office") == "sponsor" else ""
            return (sentence or _("%(name)s, its technical owner, has left.")) % {"name": fact.get("name", "")}
        case Kind.MOVED:
            sentence = _("%(name)s, who sponsors it, has another manager: %(to)s, and before %(from)s.")
            if fact.get("office") != "sponsor":
                sentence = _("%(name)s, its technical owner, has another manager: %(to)s, and before %(from)s.")
            return sentence % _Known(fact)
        case Kind.NEW_OFFICE if fact.get("from"):
            return _("%(to)s answers for it now, in the place of %(from)s.") % dict(fact)
        case Kind.NEW_OFFICE:
            return _("%(to)s answers for it now.") % {"to": fact.get("to", "")}
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
        return _("It runs %(now)s now, and ran %(before)s before.") % {"now": fact["now"], "before": fact["before"]}
    if "prompt_sha256" in changed:
        return _("Its prompt changed.")
    return _("The metadata of its client changed.")


def _notes(fact: Mapping[str, Any]) -> list[Any]:
    return [*fact.get("difference", []), *(fact[name] for name in ("sentence", "reason") if fact.get(name))]
