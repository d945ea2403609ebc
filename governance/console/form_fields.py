"""Form fields: people, groups, agents and systems by name, versions, and each refusal beside its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.agents.models import Agent
from entitlements.api.actions import Action, Performed
from entitlements.errors import DomainError, Malformed, NotFound
from entitlements.people.api import UnknownPerson
from entitlements.people.models import Person

from . import doors
from .kit import combobox


class UnknownName(DomainError):
    """Nothing has this name or short name. Choose one from the list."""

    code, status = "unknown_name", HTTPStatus.UNPROCESSABLE_ENTITY


class PersonField(combobox.ReferenceField):
    """An active person, by display name or login."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the framework's options
        super().__init__("person", **options)

    def clean(self, value: Any) -> Person | None:  # noqa: ANN401 - a text in
        """Return the person. Raises the framework's ValidationError."""
        person: Person | None = super().clean(value)
        if person is not None and not person.is_active:
            raise forms.ValidationError(_("%(name)s has left."), "person_disabled", {"name": person.name})
        return person


class VersionField(forms.IntegerField):
    """The version that was shown; what changed meanwhile is not written over."""

    def __init__(self) -> None:
        super().__init__(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)


def submit[T](
    request: HttpRequest, form: forms.Form, act: Callable[[dict[str, Any]], T], fields: Mapping[str, str]
) -> T | None:
    """Act on a valid form. Returns None when it is invalid or the act is refused; the form then holds the errors.

    `fields` names the field that a refusal is about, by code; all others are about the whole form.
    """
    combobox.bind(form, doors.caller(request))
    if not form.is_valid():
        doors.record(request, Malformed())
        return None
    try:
        return act(form.cleaned_data)
    except DomainError as refusal:
        doors.record(request, refusal)
        about = fields.get(refusal.code)
        form.add_error(about if about in form.fields else None, forms.ValidationError(refusal.message, refusal.code))
        form.refused = refusal.status  # type: ignore[attr-defined]  # our own note on the form
        return None


def perform(
    request: HttpRequest,
    form: forms.Form,
    action: Action,
    row: Any = None,  # noqa: ANN401 - a row, or None where the action makes one
    *,
    fields: Mapping[str, str],
    values: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> Performed | None:
    """Perform an action with the values of a valid form, which `values` may change. Returns None as `submit` does."""
    return submit(request, form, lambda data: doors.perform(request, action, row, values(data)), fields)


def show(request: HttpRequest, template: str, form: forms.Form, context: Mapping[str, Any]) -> HttpResponse:
    """Show a page with a form, with what was filled in and what is wrong with it."""
    status = getattr(form, "refused", HTTPStatus.UNPROCESSABLE_ENTITY) if form.errors else HTTPStatus.OK
    return render(request, template, {"form": form, **context}, status=status)


def named(request: HttpRequest, kind: str, name: str) -> Any:  # noqa: ANN401 - a row of that kind
    """Return what the combobox `name` of a form outside the form classes names; None where it was left empty.

    Raises UnknownPerson, UnknownName, or NotFound for agents and systems.
    """
    try:
        return combobox.chosen(doors.caller(request), kind, request.POST, name)
    except combobox.Unresolved as problem:
        raise _refusal(kind)(problem.message) from problem


def named_several(request: HttpRequest, kind: str, name: str) -> list[Any]:
    """Return what a combobox of several names; nothing where it was left empty. Raises what `named` raises."""
    try:
        return combobox.resolve_many(doors.caller(request), kind, request.POST.get(name, ""))
    except combobox.Unresolved as problem:
        raise _refusal(kind)(problem.message) from problem


def person(request: HttpRequest, name: str) -> Person:
    """Return the person whom a combobox names. Raises UnknownPerson, also where it was left empty."""
    found: Person | None = named(request, "person", name)
    if found is None:
        raise UnknownPerson
    return found


def agent(request: HttpRequest, name: str = "agent", kind: str = "agent") -> Agent:
    """Return the agent that a combobox names. Raises NotFound, also where it was left empty."""
    found: Agent | None = named(request, kind, name)
    if found is None:
        raise NotFound(_("Choose an agent from the list."))
    return found


def _refusal(kind: str) -> type[DomainError]:
    return {"person": UnknownPerson, "group": UnknownName}.get(kind, NotFound)


NEEDED: Final = gettext_lazy("Fill this in.")
