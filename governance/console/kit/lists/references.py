"""Facets that name a person, group, agent or system: what the address says of them, by short name or display name."""

from __future__ import annotations

from dataclasses import replace

from django.db.models import Model

from entitlements.access.caller import Caller
from governance.console.kit import combobox
from governance.console.kit.lists.address import Asked


def resolved[M: Model, R](caller: Caller, asked: Asked[M, R]) -> Asked[M, R]:
    """Return what is asked for with display names replaced by the short names behind them.

    A text that names nothing that the caller sees stays as it is, and finds what rows have it for a short name.
    """
    chosen = dict(asked.chosen)
    for facet in asked.layout.facets:
        if facet.reference and facet.name in chosen:
            chosen[facet.name] = [_key(caller, facet.reference, value) for value in chosen[facet.name]]
    return replace(asked, chosen=chosen)


def _key(caller: Caller, kind: str, text: str) -> str:
    seen = combobox.seen(caller, kind, text)
    return str(getattr(seen[0], combobox.REFERENCES[kind].key)) if len(seen) == 1 else text


def label(caller: Caller, kind: str, value: str) -> tuple[str, bool]:
    """Return the display name of a chosen value, and whether it names one thing that the caller sees."""
    seen = combobox.seen(caller, kind, value)
    return (seen[0].name, True) if len(seen) == 1 else (value, False)
