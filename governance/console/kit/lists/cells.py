"""Cells of a list: functions of a row that draw one value, made of the same tags as all pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from entitlements.people.models import Person
from governance.console import tags
from governance.console.kit.lists.layout import Column, value_of

type Cell = Callable[[Any], SafeString]
type Value = str | Callable[[Any], Any]


def draw(column: Column[Any], row: object) -> object:
    """Return what a cell shows where the column has no cell of its own: a time, a span, a number or a text."""
    if callable(column.cell):
        return column.cell(row)
    return plain(value_of(row, column.value))


def plain(value: object) -> SafeString:
    """Show a value by its type; texts are isolated, since anybody may have written them."""
    match value:
        case None | "":
            shown: object = nothing("-")
        case bool():
            shown = _("Yes") if value else _("No")
        case datetime():
            shown = tags.moment(value)
        case timedelta():
            shown = tags.spoken(value)
        case int() | float():
            shown = tags.figure(value)
        case SafeString():
            shown = value
        case Person():
            shown = tags.foreign(value.name)
        case _:
            shown = tags.foreign(value)
    return format_html("{}", shown)


def nothing(words: object) -> SafeString:
    """Show that there is no value, in quiet words."""
    return format_html('<span class="small">{}</span>', words)


def link(text: Value, name: str, *keys: str, sub: Value = "", query: str = "") -> Cell:
    """Return a cell that leads to the page `name` of the fields `keys`, with a quiet second line `sub`."""

    def cell(row: Any) -> SafeString:  # noqa: ANN401 - a row
        arguments = [value_of(row, key) for key in keys]
        if None in arguments:
            return nothing("-")
        address = reverse(name, args=arguments) + query
        words = format_html('<a class="main" href="{}">{}</a>', address, tags.foreign(value_of(row, text)))
        return _with_sub(words, value_of(row, sub) if sub else "")

    return cell


def text(value: Value, sub: Value = "") -> Cell:
    """Return a cell of a text with a quiet second line."""

    def cell(row: Any) -> SafeString:  # noqa: ANN401 - a row
        return _with_sub(plain(value_of(row, value)), value_of(row, sub) if sub else "")

    return cell


def _with_sub(words: object, sub: object) -> SafeString:
    if not sub:
        return format_html("{}", words)
    return format_html('{}<span class="sub">{}</span>', words, plain(sub))


def status(value: Value) -> Cell:
    """Return a cell of a state, as word and shape."""
    return lambda row: tags.status(str(value_of(row, value)))


def risk(value: Value) -> Cell:
    """Return a cell of a risk level, as word and shape."""
    return lambda row: tags.risk(str(value_of(row, value)))


def person(value: Value, none: object = "-") -> Cell:
    """Return a cell of a person by display name, with their state where it is not active."""

    def cell(row: Any) -> SafeString:  # noqa: ANN401 - a row
        who: Person | None = value_of(row, value)
        if who is None:
            return nothing(none)
        if who.is_active:
            return tags.foreign(who.name)
        return format_html("{} {}", tags.foreign(who.name), tags.person_status(who))

    return cell


def code(value: Value) -> Cell:
    """Return a cell of an identifier."""
    return lambda row: format_html("<code>{}</code>", tags.foreign(value_of(row, value) or "-"))


def moment(value: Value, none: object = "-") -> Cell:
    """Return a cell of a time; `none` is said where there was none yet."""

    def cell(row: Any) -> SafeString:  # noqa: ANN401 - a row
        at: datetime | None = value_of(row, value)
        return nothing(none) if at is None else plain(at)

    return cell
