"""The heaviest tool lines of an agent, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.words import Action
from governance.blast_radius.blast_radius import Reach

_DOES: Final[Mapping[str, Any]] = {
    Action.READ: gettext_lazy("reads"),
    Action.WRITE: gettext_lazy("changes"),
    Action.DELETE: gettext_lazy("deletes"),
    Action.EXECUTE: gettext_lazy("runs commands on"),
}
_DATA: Final[Mapping[str, Any]] = {
    "public": gettext_lazy("public data"),
    "internal": gettext_lazy("internal data"),
    "confidential": gettext_lazy("confidential data"),
    "restricted": gettext_lazy("restricted data"),
}
_REACH: Final[Mapping[str, Any]] = {
    Reach.ONE: gettext_lazy("for one person"),
    Reach.TEAM: gettext_lazy("for a team"),
    Reach.EVERYBODY: gettext_lazy("for the whole organisation"),
}


@dataclass(frozen=True, slots=True)
class Term:
    """A tool, and why it weighs much: its system, what it does to which data, and for how many people."""

    name: str
    words: str


def in_words(line: Mapping[str, Any]) -> Term:
    """Return a stored line (`AgentSummary.biggest`) in words."""
    values = {
        "system": line["system"],
        "does": _DOES.get(line["action"], line["action"]),
        "data": _DATA.get(line["data_class"], _("unclassified data")),
        "reach": _REACH[line["reach"]],
    }
    return Term(line["name"], _("in %(system)s: %(does)s %(data)s, %(reach)s") % values)
