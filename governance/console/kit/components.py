"""The contexts of the kit's partials, typed: what each part shows, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.safestring import SafeString

type Tone = Literal["good", "warn", "bad", "calm"]
"""How a badge, a figure or a button weighs. A tone never stands alone: a word stands beside it."""


@dataclass(frozen=True, slots=True)
class Crumb:
    """A page above this one."""

    address: str
    label: Any


@dataclass(frozen=True, slots=True)
class PageHeader:
    """The head of a page: where it stands, its title, one plain sentence, and its actions."""

    title: Any
    lead: Any
    crumbs: Sequence[Crumb]
    actions: SafeString


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: its page, whether it is shown now, and how many rows are behind it, None where nothing is counted."""

    label: Any
    address: str
    current: bool
    count: int | None


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page with a heading; `key` is the heading's id."""

    title: Any
    key: str
    more: SafeString | str
    body: SafeString


@dataclass(frozen=True, slots=True)
class EmptyState:
    """Nothing to show: a title, and what the reader can do about it."""

    title: Any
    icon: str
    body: SafeString


@dataclass(frozen=True, slots=True)
class ActionForm:
    """A button that opens a form with a reason; the form's own button does it. It works without script."""

    label: Any
    address: str
    body: SafeString
    key: str
    icon: str = ""
    tone: Tone | Literal["primary", ""] = ""
    reason: Literal["required", "optional", "none"] = "required"
    reason_label: Any = ""
    confirm: Any = ""
    small: bool = False
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Dialog:
    """A dialog by its id; a button with `data-dialog` opens it, Escape closes it."""

    key: str
    title: Any
    body: SafeString


@dataclass(frozen=True, slots=True)
class FigureCard:
    """One figure of a page: a number, what it counts, where its rows are, and how it changed."""

    label: Any
    value: Any
    address: str
    tone: Tone | Literal[""]
    note: Any
