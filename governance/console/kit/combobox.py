"""One way to choose a person, group, agent or system: by display name, on the search of Ctrl K.

With script the field is a combobox (WAI-ARIA): it offers what is found during typing. Without it the field takes
a name or a short name, or several between commas where the field takes many. Either way the server resolves the text,
and says where it fits nothing or more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
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
_LONGEST: Final = 200
_MOST_NAMED: Final = 1000
_KEY: Final = "__key"
"""What the name of a field ends with that holds the short name of the chosen option, whose label is the text."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A kind of thing that can be chosen: the field of its short name, all rows of it, and the word in error codes.

    What is `open` can be named by its short name or exact name; of other kinds, only what the caller sees.
    """

    key: str
    every: Callable[[], QuerySet[Any]]
    word: str
    open: bool = False


REFERENCES: Final[Mapping[str, Reference]] = {
    "agent": Reference("slug", Agent.objects.all, "agent"),
    "connectable_agent": Reference("slug", Agent.objects.all, "agent"),
    "group": Reference("slug", Group.objects.all, "group", open=True),
    "person": Reference("login", Person.objects.all, "person", open=True),
    "requestable_agent": Reference("slug", Agent.objects.all, "agent"),
    "shared_agent": Reference("slug", Agent.objects.all, "agent"),
    "system": Reference("slug", System.objects.all, "system"),
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
    named = search.named(caller, kind, text.strip()[:_LONGEST]).filter(**_here(kind))
    rows = list(named.order_by("name", "pk")[:most])
    names = [row.name.casefold() for row in rows]
    key = REFERENCES[kind].key
    return [
        Option(getattr(row, key), row.name, getattr(row, key) if names.count(row.name.casefold()) > 1 else "")
        for row in rows
    ]


def resolve(caller: Caller | None, kind: str, text: str) -> Any:  # noqa: ANN401 - a row of that kind
    """Return what a text names: by its short name, or by its display name. Raises Unresolved.

    An open kind is found by its short name, and by an exact name that one active row has, whether the caller sees it
    or not; all else is looked up only in what they see.
    """
    reference = REFERENCES[kind]
    rows = reference.every() if reference.open or caller is None else search.rows(caller, kind)
    row: Model | None = rows.filter(**{reference.key: text}).first()
    if row is not None:
        return row
    found = (_still_here(seen(caller, kind, text)) if caller else []) or (
        _namesakes(kind, text) if reference.open else []
    )
    if len(found) == 1:
        return found[0]
    if found:
        keys = ", ".join(getattr(each, reference.key) for each in found)
        message = _("Several have the name “%(text)s”. Type one of these short names instead: %(keys)s.")
        raise Unresolved(message % {"text": text, "keys": keys}, f"ambiguous_{reference.word}")
    message = _("Nothing here has the name “%(text)s”. Choose one from the list, or type its name or short name.")
    raise Unresolved(message % {"text": text}, f"unknown_{reference.word}")


def _namesakes(kind: str, text: str) -> list[Any]:
    """Return the one active row that has a text for its name; nothing where several have, whose short names stay."""
    rows = REFERENCES[kind].every().filter(name__iexact=text, **_here(kind))
    found = list(rows[:2])
    return found if len(found) == 1 else []


def _still_here(rows: list[Any]) -> list[Any]:
    """Return the people who have not left, unless all have; rows of other kinds as they are."""
    return [row for row in rows if getattr(row, "is_active", True)] or rows


def _here(kind: str) -> dict[str, Any]:
    return {"is_active": True} if kind == "person" else {}


def resolve_many(caller: Caller | None, kind: str, text: str) -> list[Any]:
    """Return what a text names between commas or line breaks, each once, at most 1000. Raises Unresolved."""
    parts = [part.strip() for part in text.replace("\n", ",").split(",")]
    rows = [resolve(caller, kind, part[:_LONGEST]) for part in parts[:_MOST_NAMED] if part]
    return list({row.pk: row for row in rows}.values())


def chosen(caller: Caller, kind: str, data: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a row or None
    """Return the row that a field of a form outside the form classes names; None where it is empty. Raises Unresolved.

    `data` is what was sent.
    """
    text, key = Combobox(kind).value_from_datadict(data, None, name)
    return _picked(caller, kind, text, key) if text else None


def _picked(caller: Caller | None, kind: str, text: str, key: str) -> Any:  # noqa: ANN401 - a row of that kind
    """Return the row of a text, and of the short name of the option that was chosen for it. Raises Unresolved."""
    is_chosen = bool(key) and labels(kind, [key]).get(key) == text  # and not typed over since
    return resolve(caller, kind, key if is_chosen else text[:_LONGEST])


def seen(caller: Caller, kind: str, text: str) -> list[Any]:
    """Return what the caller sees that has a text for its short name, or else all that has it for its display name."""
    rows = search.named(caller, kind, text)
    by_key = list(rows.filter(**{REFERENCES[kind].key: text}))
    return by_key or list(rows.filter(name__iexact=text).order_by("pk")[:MOST])


def keys(caller: Caller, kind: str, texts: Iterable[str]) -> list[str]:
    """Return the short names behind texts, each of which may name several between commas; what is unknown stays."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    named = list(dict.fromkeys(part for part in parts if part))[:_MOST_NAMED]
    key = REFERENCES[kind].key
    known = set(search.rows(caller, kind).filter(**{f"{key}__in": named}).values_list(key, flat=True))
    return list(dict.fromkeys(part if part in known else _key_of(caller, kind, part) for part in named))


def _key_of(caller: Caller, kind: str, text: str) -> str:
    try:
        return str(getattr(resolve(caller, kind, text[:_LONGEST]), REFERENCES[kind].key))
    except Unresolved:
        return text


def key_of(caller: Caller, kind: str, data: Mapping[str, Any], name: str) -> str:
    """Return the short name behind a filter of an address; what is unknown stays, and finds nothing."""
    text, key = Combobox(kind).value_from_datadict(data, None, name)
    if key and labels(kind, [key]).get(key) == text:
        return key
    return _key_of(caller, kind, text) if text else ""


def names(caller: Caller, kind: str, chosen_keys: Collection[str]) -> str:
    """Return short names as the text of a field: by display name what the caller sees, the rest as it is."""
    key = REFERENCES[kind].key
    rows = search.rows(caller, kind).filter(**{f"{key}__in": list(chosen_keys)[:_MOST_NAMED]})
    known = dict(rows.values_list(key, "name"))
    return _joined([(known.get(each, each), each) for each in chosen_keys])


def labels(kind: str, keys: Collection[str]) -> dict[str, str]:
    """Return the display names behind short names that stand in an address already."""
    reference = REFERENCES[kind]
    rows = reference.every().filter(**{f"{reference.key}__in": list(keys)[:_MOST_NAMED]})
    return dict(rows.values_list(reference.key, "name"))


def initial(kind: str, value: object) -> tuple[str, str]:
    """Return the text of a field and the short name behind it, for a row, a list of rows, or what was sent."""
    key = REFERENCES[kind].key
    if isinstance(value, Model):
        row: Any = value
        return row.name, getattr(row, key)
    if isinstance(value, list | tuple):
        return _joined([(row.name, getattr(row, key)) for row in value]), ""
    return str(value or ""), ""


def _joined(names: list[tuple[str, str]]) -> str:
    """Return names between commas; a name that itself has a comma, or that two have, as its short name."""
    shown = [name for name, _key in names]
    return ", ".join(key if "," in name or shown.count(name) > 1 else name for name, key in names)


class Combobox(forms.TextInput):
    """A text field that script turns into a combobox; beside it the short name of what was chosen.

    One of `many` takes several names between commas.
    """

    def __init__(self, kind: str, *, many: bool = False) -> None:
        super().__init__({"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"})
        self.kind, self.many = kind, many

    def render(
        self,
        name: str,
        value: Any,  # noqa: ANN401 - what was typed, an initial short name, or a list of them
        attrs: dict[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        """Write both fields: with the display name of an initial value, or with what was sent."""
        text, key = self._shown(value)
        shown = super().render(name, text, attrs, renderer)
        where = f"{reverse('search-options')}?kind={self.kind}"
        if self.many:
            return format_html('<span class="combobox" data-combobox="{}" data-many>{}</span>', where, shown)
        form = format_html(' form="{}"', attrs["form"]) if attrs and "form" in attrs else ""
        hidden = format_html('<input type="hidden" name="{}" value="{}" data-key{}>', f"{name}{_KEY}", key, form)
        return format_html('<span class="combobox" data-combobox="{}">{}{}</span>', where, shown, hidden)

    def _shown(self, value: Any) -> tuple[str, str]:  # noqa: ANN401 - what `render` takes
        """Return the text of the field, and the short name behind it."""
        if isinstance(value, tuple):
            return value
        if self.many:
            keys = list(value or ())
            names = labels(self.kind, keys) if keys else {}
            return _joined([(names.get(key, key), key) for key in keys]), ""
        text = str(value or "")
        return (labels(self.kind, [text]).get(text, text), text) if text else ("", "")

    def value_from_datadict(self, data: Any, files: Any, name: str) -> tuple[str, str]:  # noqa: ANN401 - the framework's
        """Return the text, and the short name that was chosen with it."""
        text = super().value_from_datadict(data, files, name)
        return str(text or "").strip(), str(data.get(f"{name}{_KEY}") or "")


class ReferenceField(forms.Field):
    """A field whose value is a row of a kind, or a list of rows; `caller` is set by `bind` before it reads."""

    caller: Caller | None = None

    def __init__(self, kind: str, *, many: bool = False, **options: Any) -> None:  # noqa: ANN401 - the framework's
        super().__init__(widget=Combobox(kind, many=many), **options)
        self.kind, self.many = kind, many

    def clean(self, value: Any) -> Any:  # noqa: ANN401 - both texts in; a row or None, or a list, out
        """Return the row, or the rows. Raises the framework's ValidationError."""
        text, key = value if isinstance(value, tuple) else (str(value or "").strip(), "")
        super().clean(text)
        try:
            if self.many:
                return resolve_many(self.caller, self.kind, text)
            return _picked(self.caller, self.kind, text, key) if text else None
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
