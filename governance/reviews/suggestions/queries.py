"""Suggestions as pages show them: the verdict, its reasons as sentences, and a replay of the removal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from governance.charts import geometry
from governance.reviews.items.models import ReviewLine
from governance.reviews.suggestions.models import Suggestion

_VERDICTS: Final[Mapping[str, tuple[str, str, Any]]] = {
    "revoke": ("bad", "cross", gettext_lazy("Revoke")),
    "reduce": ("warn", "half", gettext_lazy("Keep some")),
    "look": ("warn", "triangle", gettext_lazy("Look closer")),
    "keep": ("good", "check", gettext_lazy("Keep")),
    "unknown": ("calm", "ring", gettext_lazy("Not enough data")),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """A suggestion as a page shows it; `replay` is empty where no removal is suggested."""

    tone: str
    shape: str
    word: Any
    reasons: list[str]
    replay: str
    kept: frozenset[int]
    version: str


def _names(reason: Mapping[str, Any]) -> str:
    return ", ".join(map(str, reason.get("names", [])))


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "U1": lambda reason: (
        ngettext("%(n)d tool was not called in 90 days.", "%(n)d tools were not called in 90 days.", reason["n"])
        % reason
    ),
    "U2": lambda _reason: _("None of its tools was used in 90 days."),
    "U3": lambda reason: _("%(times)d calls were denied because no access covers them.") % reason,
    "D1": lambda _reason: _("No token was requested in 45 days."),
    "O1": lambda _reason: _("The sponsor of the agent left."),
    "F1": lambda reason: _("Changed since it was approved: %(names)s.") % {"names": _names(reason)},
    "F1+": lambda reason: _("Accepts more than was approved: %(names)s.") % {"names": _names(reason)},
    "F2": lambda _reason: _("The model, prompt or client of the agent changed since the last review."),
    "C1": lambda reason: _("SoD violation: %(names)s.") % {"names": _names(reason)},
    "R1": lambda _reason: _("It can delete things or run commands."),
    "P1-": lambda reason: (
        _("All %(count)d other agents with this access hold all of it.") % reason
        if reason["least"] == 100  # noqa: PLR2004 - per cent
        else _("Of %(count)d other agents with this access, at least %(least)d %% hold all of it.") % reason
    ),
    "P1+": lambda reason: _("Of %(count)d other agents with this access, only %(least)d %% hold some of it.") % reason,
    "K1": lambda _reason: _("A shared secret of the agent is older than a year."),
    "N1": lambda _reason: _("It is new since the last review."),
    "A1": lambda _reason: _("No person ever approved it."),
    "B1": lambda reason: (
        _("The blast radius of the agent is %(now)d of 100.") % reason
        if reason["before"] is None
        else _("The blast radius of the agent is %(now)d of 100; at the last review it was %(before)d.") % reason
    ),
    "S1": lambda _reason: _("A reviewer kept it within a year as seasonal access."),
    "H1": lambda _reason: _("A person kept it with a reason within a year."),
}


def advice(suggestion: Suggestion, lines: Sequence[ReviewLine]) -> Advice:
    """Return a stored suggestion as a page shows it, with the lines of its item."""
    tone, shape, word = _VERDICTS[suggestion.verdict]
    if suggestion.verdict == Suggestion.Verdict.REDUCE:
        word = _("Keep %(kept)d of %(all)d") % {"kept": len(suggestion.kept), "all": len(lines)}
    return Advice(
        tone,
        shape,
        word,
        _words(suggestion.reasons),
        _replay(suggestion, lines),
        frozenset(suggestion.kept),
        suggestion.version,
    )


def _words(reasons: Iterable[Mapping[str, Any]]) -> list[str]:
    return [_WORDS[each["signal"]](each) for each in reasons if each["signal"] in _WORDS]


def _replay(suggestion: Suggestion, lines: Sequence[ReviewLine]) -> str:
    """Return how many of the calls counted when the review began the suggested removal would have denied."""
    if suggestion.verdict not in (Suggestion.Verdict.REDUCE, Suggestion.Verdict.REVOKE):
        return ""
    if any(line.calls_window is None for line in lines):
        return _("What was called cannot be seen: calls go past our gateway.")
    calls = sum(line.calls_window or 0 for line in lines)
    if not calls:
        return _("No call was made in the 90 days before, so none would have been denied.")
    denied = sum(line.calls_window or 0 for line in lines if line.pk not in suggestion.kept)
    return _("%(denied)d of %(calls)d calls in the 90 days before would have been denied.") % {
        "denied": denied,
        "calls": calls,
    }


@dataclass(frozen=True, slots=True)
class Spark:
    """The calls of thirteen weeks as small columns, and as text."""

    path: str
    label: str


def spark(weeks: Sequence[int]) -> Spark:
    """Draw the calls of the last weeks."""
    label = _("Calls in each of the last 13 weeks, the oldest first: %(weeks)s") % {"weeks": ", ".join(map(str, weeks))}
    return Spark(geometry.outline(geometry.spark(weeks)), label)
