"""What pages show of a tool's suggestion and flows: confirmed ones, before the first approval suggested ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from entitlements.catalog.models import Tool
from entitlements.definitions import classes

LABELS: Final = {
    "reads_private": _("Reads private data"),
    "ingests_untrusted": _("Returns what strangers wrote"),
    "egress_external": _("Can carry data outside"),
}
_ANSWERS: Final = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Flow:
    """One of the three ways in which data flows through a tool: yes, no, or unclassified."""

    name: str
    label: Any
    value: bool | None


def suggestion_of(tool: Tool) -> dict[str, Any]:
    """Return the suggestion for a tool, and its flows: confirmed ones, before the first approval suggested ones."""
    if tool.seen is None:
        return {"suggestion": None, "flows": []}
    suggestion = tool.suggestion or classes.suggest(tool.seen.definition).as_json()
    flows = [
        Flow(name, label, suggestion.get(name) if tool.approved_id is None else getattr(tool, name))
        for name, label in LABELS.items()
    ]
    return {"suggestion": suggestion, "flows": flows}


def refilled(flows: Sequence[Flow], data: Mapping[str, str]) -> list[Flow]:
    """Return the flows as a form that was refused had them."""
    return [replace(flow, value=_ANSWERS.get(data[flow.name])) if flow.name in data else flow for flow in flows]


def confirmed(data: QueryDict) -> dict[str, bool | None]:
    """Read the flows in a form; one that it does not name stays as it is."""
    return {name: _ANSWERS.get(str(data[name])) for name in LABELS if name in data}
