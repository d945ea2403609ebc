"""One way to choose a person, group, agent or system: by display name, on the search of Ctrl K.

With script the field is a combobox (WAI-ARIA): it offers what is found during typing. Without it the field takes
a name or a short name. Either way the server resolves the text, and says where it fits nothing or more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.db.models import Model, QuerySet
from django.forms.renderers import BaseRenderer
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.people.models import Group, Person
from governance.search.queries import search

MOST: Final = 8
"""Options that are offered at once."""
_KEY: Final = "__key"
"""What the name of a field ends with that holds the short name of the chosen option, whose label is the text."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A kind of thing that can be chosen: the field of its short name, and all rows of it."""

    key: str
    every: Callable[[], QuerySet[Any]]


REFERENCES: Final[Mapping[str, Reference]] = {
    "agent": Reference("slug", Agent.objects.all),
    "group": Reference("slug", Group.objects.all),
    "person": Reference("login", Person.objects.all),
    "system": Reference("slug", System.objects.all),
}


@dataclass(frozen=True, slots=True)
class Option:
    """What can be chosen: its short name, its display name, and what tells it from others of the same name."""

    value: str
    label: str
    detail: str


class Unresolved(ValueError):
    """A text that names nothing, or more than one thing."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message, self.code = message, code


def options(caller: Caller, kind: str, text: str, *, most: int = MOST) -> list[Option]:
    """Return what the caller sees of a kind whose name or short name holds a text, by name; active people only."""
    here = {"is_active": True} if kind == "person" else {}
    rows = list(search.named(caller, kind, text.strip()[:200]).filter(**here).order_by("name", "pk")[:most])
    names = [row.name.casefold() for row in rows]
    key = REFERENCES[kind].key
    return [
        Option(getattr(row, key), row.name, getattr(row, key) if names.count(row.name.casefold()) > 1 else "")
        for row in rows
    ]


def resolve(caller: Caller | None, kind: str, text: str) -> Any:  # noqa: ANN401 - a row of that kind
    """Return what a text names: by its short name, or by the display name of what the caller sees. Raises Unresolved.

    Whoever knows a short name may name it, whether they see it or not; names are looked up only in what they see.
    """
    reference = REFERENCES[kind]
    row: Model | None = reference.every().filter(**{reference.key: text}).first()
    if row is not None:
        return row
    found = seen(caller, kind, text) if caller else []
    if len(found) == 1:
        return found[0]
    if found:
        keys = ", ".join(getattr(each, reference.key) for each in found)
        message = _("Several have the name “%(text)s”. Type one of these short names instead: %(keys)s.")
        raise Unresolved(message % {"text": text, "keys": keys}, f"ambiguous_{kind}")
    message = _("Nothing here has the name “%(text)s”. Choose one from the list, or type its name or short name.")
    raise Unresolved(message % {"text": text}, f"unknown_{kind}")


def seen(caller: Caller, kind: str, text: str) -> list[Any]:
    """Return what the caller sees that has a text for its short name, or else all that has it for its display name."""
    rows = search.named(caller, kind, text)
    by_key = list(rows.filter(**{REFERENCES[kind].key: text}))
    return by_key or list(rows.filter(name__iexact=text).order_by("pk")[:MOST])


def labels(kind: str, keys: Collection[str]) -> dict[str, str]:
    """Return the display names behind short names that stand in an address already."""
    reference = REFERENCES[kind]
    rows = reference.every().filter(**{f"{reference.key}__in": list(keys)[:MOST]})
    return dict(rows.values_list(reference.key, "name"))


class Combobox(forms.TextInput):
    """A text field that script turns into a combobox; beside it the short name of what was chosen."""

    def __init__(self, kind: str) -> None:
        super().__init__({"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"})
        self.kind = kind

    def render(
        self,
        name: str,
        value: Any,  # noqa: ANN401 - what was typed, or an initial short name
        attrs: dict[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        """Write both fields: with the display name of an initial value, or with what was sent."""
        text, key = value if isinstance(value, tuple) else (value or "", "")
        if not isinstance(value, tuple) and text:
            text, key = labels(self.kind, [str(text)]).get(str(text), text), text
        shown = super().render(name, text, attrs, renderer)
        where = f"{reverse('search-options')}?kind={self.kind}"
        hidden = format_html('<input type="hidden" name="{}" value="{}" data-key>', f"{name}{_KEY}", key)
        return format_html('<span class="combobox" data-combobox="{}">{}{}</span>', where, shown, hidden)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> tuple[str, str]:  # noqa: ANN401 - the framework's
        """Return the text, and the short name that was chosen with it."""
        text = super().value_from_datadict(data, files, name)
        return str(text or "").strip(), str(data.get(f"{name}{_KEY}") or "")


class ReferenceField(forms.Field):
    """A field whose value is a row of a kind; `caller` is set by `bind` before it reads."""

    caller: Caller | None = None

    def __init__(self, kind: str, **options: Any) -> None:  # noqa: ANN401 - the framework's options
        super().__init__(widget=Combobox(kind), **options)
        self.kind = kind

    def clean(self, value: Any) -> Any:  # noqa: ANN401 - both texts in, a row or None out
        """Return the row. Raises the framework's ValidationError."""
        text, key = value if isinstance(value, tuple) else (str(value or "").strip(), "")
        super().clean(text)
        if not text:
            return None
        if key and labels(self.kind, [key]).get(key) == text:
            text = key  # chosen, and not typed over since
        try:
            return resolve(self.caller, self.kind, text[:200])
        except Unresolved as problem:
            raise forms.ValidationError(problem.message, problem.code) from problem

    def has_changed(self, initial: Any, data: Any) -> bool:  # noqa: ANN401 - the framework's signature
        """Compare what was typed."""
        return super().has_changed(initial, data[0] if isinstance(data, tuple) else data)


def bind(form: forms.Form, caller: Caller) -> None:
    """Let the fields of a form look up names in what the caller sees."""
    for field in form.fields.values():
        if isinstance(field, ReferenceField):
            field.caller = caller
