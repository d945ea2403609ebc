"""Entitlements: hand-picked tools of one system, each with the limits that every grant starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.access import visibility
from entitlements.catalog import actions, membership
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.decisions.limits import compile as compile_limits
from entitlements.errors import DomainError
from governance.console import doors, form_fields
from governance.console.limits import limit_fields, limit_lines
from governance.console.tags import does, spoken
from governance.requests import queries as read

_LENGTHS: Final = tuple(timedelta(days=days) for days in (1, 7, 30, 90, 180, 365))
_FIELDS: Final = {"scope_taken": "scope", "scope_malformed": "scope"}


class _Bundle(forms.Form):
    """What an entitlement is called, what it is for, and for how long at most it is given."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        help_text=gettext_lazy("Shown in the entitlement catalog, for example “Book invoices”."),
    )
    sentence = forms.CharField(
        label=gettext_lazy("What an agent can do with it, in one plain sentence"),
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    longest = forms.TypedChoiceField(
        label=gettext_lazy("Longest access"),
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        widget=forms.Select(attrs={"class": "short"}),
    )

    def __init__(self, *args: Any, current: timedelta = timedelta(days=90), **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        lengths = sorted({*_LENGTHS, current})
        self.fields["longest"].choices = [  # type: ignore[attr-defined]  # a field with choices
            (str(int(length.total_seconds())), spoken(length)) for length in lengths
        ]
        self.fields["longest"].initial = str(int(current.total_seconds()))


class AddForm(_Bundle):
    """A new entitlement."""

    field_order: tuple[str, ...] = ("name", "scope", "sentence", "longest")

    scope = forms.RegexField(
        r"^[a-z0-9][a-z0-9._:-]{0,63}\Z",
        label=gettext_lazy("Scope name"),
        required=False,
        max_length=64,
        help_text=gettext_lazy("The OAuth scope, after the system's short name. It cannot change."),
    )

    def clean(self) -> dict[str, Any]:
        """Make the scope's name of the name where it is left empty."""
        data = super().clean() or {}
        scope = data.get("scope") or slugify(data.get("name", ""))[:64].strip("-")
        if "scope" not in self.errors and "name" not in self.errors and not scope:
            self.add_error("scope", forms.ValidationError(_("Choose a scope name."), "scope_malformed"))
        return {**data, "scope": scope}


class EditForm(_Bundle):
    """What can be changed of an entitlement."""

    enabled = forms.BooleanField(label=gettext_lazy("Requestable, and its grants are in force"), required=False)
    version = form_fields.VersionField()


class _RuleFields(forms.Form):
    """Which tools follow: what they do, how risky they may be, and the limits that each starts from."""

    actions = forms.MultipleChoiceField(
        label=gettext_lazy("Kind of action"),
        choices=lambda: [(value, does(value)) for value in Tool.Does.values],
        widget=forms.CheckboxSelectMultiple,
        initial=[Tool.Does.READ],
    )
    risk_at_most = forms.ChoiceField(
        label=gettext_lazy("Highest risk level"),
        choices=Tool.Risk.choices,
        widget=forms.Select(attrs={"class": "short"}),
        initial=Tool.Risk.LOW,
    )
    limits = forms.CharField(
        label=gettext_lazy("Limits of each tool, one argument a line"),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono"}),
        help_text=gettext_lazy(
            "“region: north, south” leaves these values, “amount <= 100” sets a most. They hold where a tool has the "
            "argument."
        ),
    )

    kept: Mapping[str, Any] | None = None
    """Limits that lines cannot express, set by the API: they stay as they are."""

    def clean_limits(self) -> Mapping[str, Any]:
        """Read the lines."""
        try:
            start = self.kept or limit_lines.from_lines(self.cleaned_data["limits"])
            compile_limits(start)
        except DomainError as refusal:
            raise forms.ValidationError(refusal.message, refusal.code) from refusal
        return start

    def rule(self) -> membership.Rule:
        """Return the rule that the form says. Raises EntitlementMalformed."""
        return membership.read({name: self.cleaned_data[name] for name in _RuleFields.base_fields})


class RuleAddForm(_RuleFields, AddForm):
    """A new entitlement whose tools follow a rule."""

    field_order = ("name", "scope", "sentence", "actions", "risk_at_most", "limits", "longest")


class RuleEditForm(_RuleFields, EditForm):
    """What can be changed of an entitlement whose tools follow a rule."""

    field_order = ("name", "sentence", "actions", "risk_at_most", "limits", "longest", "enabled")


@dataclass(frozen=True, slots=True)
class Choice:
    """A tool that can be picked, with the limits it has and the fields that set them."""

    tool: Tool
    limits: Mapping[str, Any]
    fields: list[limit_fields.Field]
    ticked: bool
    opened: bool


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest, slug: str) -> HttpResponse:
    """Make an entitlement of approved tools of a system."""
    system = _system(request, slug)
    doors.permit(request, "entitlements", system)
    made_by: type[AddForm] = RuleAddForm if request.GET.get("by") == "rule" else AddForm
    form = made_by(request.POST) if request.method == "POST" else made_by()
    saves = request.method == "POST" and "preview" not in request.POST
    if saves and form_fields.perform(
        request,
        form,
        actions.MAKE_ENTITLEMENT,
        system,
        fields=_FIELDS,
        values=lambda data: _made(request, system, form, data),
    ):
        return redirect(f"/systems/{slug}/?tab=entitlements")
    return _show(request, system, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def edit(request: HttpRequest, slug: str, scope: str) -> HttpResponse:
    """Change an entitlement, from the version that was shown. What open grants hold of it is left alone."""
    system = _system(request, slug)
    entitlement = doors.find(visibility.entitlements(doors.caller(request)).filter(system=system), scope=scope)
    doors.about(request, *[f"entitlement:{scope}", f"system:{slug}"])
    doors.permit(request, "entitlement", entitlement, "PATCH")
    names = ("name", "sentence", "enabled", "version")
    initial = {name: getattr(entitlement, name) for name in names}
    form = _form(entitlement, initial, request.POST if request.method == "POST" else None)
    saves = request.method == "POST" and "preview" not in request.POST
    if saves and form_fields.perform(
        request,
        form,
        actions.EDIT_ENTITLEMENT,
        entitlement,
        fields=_FIELDS,
        values=lambda data: _edited(request, entitlement, form, data),
    ):
        return redirect(f"/systems/{slug}/?tab=entitlements")
    return _show(request, system, form, entitlement)


def _form(entitlement: Entitlement, initial: dict[str, Any], data: QueryDict | None) -> EditForm:
    """Return the form that changes an entitlement of its kind."""
    if entitlement.rule is None:
        return EditForm(data, initial=initial, current=entitlement.longest)
    lines = limit_lines.as_lines(start := entitlement.rule.get("limits", {}))
    form = RuleEditForm(data, initial=initial | entitlement.rule | {"limits": lines}, current=entitlement.longest)
    if limit_lines.from_lines(lines) != start:
        form.kept, form.fields["limits"].disabled = start, True
    return form


def _made(request: HttpRequest, system: System, form: forms.Form, data: dict[str, Any]) -> dict[str, Any]:
    named = {**data, "system": system, "scope": f"{system.slug}:{data['scope']}"}
    if isinstance(form, _RuleFields):
        return {**_without_rule(named), "rule": form.rule()}
    return {**named, "tools": _picked(request, system, None)}


def _edited(request: HttpRequest, entitlement: Entitlement, form: forms.Form, data: dict[str, Any]) -> dict[str, Any]:
    if isinstance(form, _RuleFields):
        return {**_without_rule(data), "rule": form.rule()}
    return {**data, "tools": _picked(request, entitlement.system, entitlement)}


def _without_rule(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in _RuleFields.base_fields}


def _picked(request: HttpRequest, system: System, entitlement: Entitlement | None) -> dict[Tool, Mapping[str, Any]]:
    """Return the ticked tools with their limits: those they had, as the form changed them. Raises LimitMalformed."""
    data = request.POST
    kept, forgotten = set(data.getlist("tool")), set(data.getlist("forget"))
    picked: dict[Tool, Mapping[str, Any]] = {}
    for choice in _choices(request, system, entitlement):
        if choice.tool.name not in kept:
            continue
        definition = read.pinned(choice.tool)
        fields = limit_fields.fields(choice.tool.name, definition, choice.limits)
        changed = limit_fields.read(fields, choice.limits, data.getlist)
        picked[choice.tool] = {} if choice.tool.name in forgotten else {**choice.limits, **changed}
    return picked


def _choices(request: HttpRequest, system: System, entitlement: Entitlement | None) -> list[Choice]:
    """List the approved tools of a system, and those that the entitlement has already."""
    has = {line.tool_id: line.limits for line in entitlement.lines.all()} if entitlement else {}
    sent = request.POST if request.method == "POST" else None
    rows = visibility.tools(doors.caller(request)).filter(system=system).order_by("name")
    choices = []
    for tool in rows:
        if tool.state != Tool.State.APPROVED and tool.pk not in has:
            continue
        limits = has.get(tool.pk, {})
        fields = limit_fields.fields(tool.name, read.pinned(tool), limits)
        if sent:
            fields = [limit_fields.with_sent_values(field, sent.getlist) for field in fields]
        ticked = tool.name in sent.getlist("tool") if sent else tool.pk in has
        choices.append(Choice(tool, limits, fields, ticked, bool(sent and ticked)))
    return choices


def _show(request: HttpRequest, system: System, form: forms.Form, entitlement: Entitlement | None) -> HttpResponse:
    by_rule = isinstance(form, _RuleFields)
    context = {
        "preview": _fitting(request, system, form, entitlement) if isinstance(form, _RuleFields) else None,
        "system": system,
        "entitlement": entitlement,
        "by_rule": by_rule,
        "by_hand": not by_rule,
        "choices": [] if by_rule else _choices(request, system, entitlement),
    }
    return form_fields.show(request, "console/catalog/entitlement_form.html", form, context)


@dataclass(frozen=True, slots=True)
class RulePreview:
    """The tools of a rule now, each with its starting limits, and the tools that it would leave out."""

    lines: list[dict[str, Any]]
    added: int
    left: list[Tool]


def _fitting(
    request: HttpRequest, system: System, form: _RuleFields, entitlement: Entitlement | None
) -> RulePreview | None:
    """Return the tools of the form's rule; None while the form is invalid."""
    if form.is_bound and not form.is_valid():
        return None
    start = {name: form.get_initial_for_field(field, name) for name, field in _RuleFields.base_fields.items()}
    start["limits"] = form.kept or limit_lines.from_lines(str(start["limits"] or ""))
    rule = form.rule() if form.is_bound else membership.read(start)
    inside = {line.tool_id: line.tool for line in entitlement.lines.select_related("tool")} if entitlement else {}
    tools = visibility.tools(doors.caller(request)).filter(system=system).order_by("name")
    fitting = [tool for tool in tools if membership.fits(rule, tool)]
    taken = {tool.pk for tool in fitting}
    left = [tool for pk, tool in inside.items() if pk not in taken and tool.state == Tool.State.APPROVED]
    lines = [{"tool": tool, "limits": membership.initial_limits(rule, tool)} for tool in fitting]
    return RulePreview(lines, len(taken - inside.keys()), left)


def _system(request: HttpRequest, slug: str) -> System:
    doors.about(request, f"system:{slug}")
    return doors.find(visibility.systems(doors.caller(request)).exclude(kind=System.Kind.BUILTIN), slug=slug)
