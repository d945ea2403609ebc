"""REST APIs: a document is looked at before anything is stored, then registered; read again, and operations by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.catalog import actions as catalog
from entitlements.catalog.models import System
from entitlements.errors import DomainError, NotFound
from entitlements.openapi.errors import DocumentMalformed
from entitlements.rest.operation import Method
from entitlements.rest_apis import actions, rest_apis, sources
from entitlements.rest_apis.api import declared
from entitlements.rest_apis.models import RestApi
from entitlements.rest_apis.sources import Source
from governance.catalog.pages import registration
from governance.console import doors, form_fields

from . import queries as read

STATES: Final = (
    ("", gettext_lazy("All operations")),
    ("refused", gettext_lazy("Refused")),
    ("renamed", gettext_lazy("Renamed")),
    ("tools", gettext_lazy("Unchanged")),
)
_WHERE: Final = dict.fromkeys(("openapi_malformed", "body_too_large"), "file") | dict.fromkeys(
    ("forbidden_address", "upstream_unavailable"), "document_url"
)
_FIELDS: Final = {**registration.FIELDS, "openapi_without_server": "upstream_url"}


class DocumentChanged(DomainError):
    """The document is not the one that you previewed. Look at it again."""

    code, status = "openapi_changed", HTTPStatus.CONFLICT


class DocumentForm(forms.Form):
    """A document: a file, or its address."""

    file = forms.FileField(
        label=gettext_lazy("OpenAPI file"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("OpenAPI 3.0 or 3.1 in JSON (at most 16 MB) or YAML (at most 4 MB)."),
    )
    document_url = forms.CharField(
        label=gettext_lazy("OpenAPI address"),
        required=False,
        max_length=500,
        widget=forms.URLInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
        help_text=gettext_lazy("Mandate fetches the document from here again, and holds what changed for review."),
    )

    def clean(self) -> dict[str, Any]:
        """Take the one of both."""
        data = super().clean() or {}
        if not self.errors and bool(data.get("file")) == bool(data.get("document_url")):
            self.add_error("file", forms.ValidationError(_("Choose a file or give an address."), "required"))
        return data

    def source(self) -> Source:
        """Return the document of a valid form. Raises as sources.fetch."""
        file = self.cleaned_data["file"]
        if file:
            return sources.of_file(file.read(), file.name)
        return sources.fetch(self.cleaned_data["document_url"])


class RegisterForm(registration.AddForm):
    """A REST API whose document was looked at; the document comes along, or its address and hash."""

    kind = sign_in = secret = None  # type: ignore[assignment]  # fields less, as Django has it
    held = forms.CharField(widget=forms.HiddenInput, required=False, max_length=read.LONGEST_HELD)
    source_url = forms.CharField(widget=forms.HiddenInput, required=False, max_length=500)
    source_name = forms.CharField(widget=forms.HiddenInput, required=False, max_length=200)
    sha256 = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's
        super().__init__(*args, **kwargs)
        self.fields["upstream_url"].help_text = _(
            "The https address that its paths are below. Redirects are not followed."
        )


class _JsonField(forms.JSONField):
    """JSON that may be left out; nothing is shown for nothing."""

    widget = forms.Textarea(attrs={"rows": 4, "spellcheck": "false"})

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the framework's
        super().__init__(required=False, **options)

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401 - as the framework's
        """Return the text to show."""
        return "" if value is None else super().prepare_value(value)


class OperationForm(forms.Form):
    """One operation by hand."""

    name = forms.RegexField(r"^[A-Za-z0-9_.-]{1,128}\Z", label=gettext_lazy("Tool name"), max_length=128)
    method = forms.ChoiceField(label=gettext_lazy("Method"), choices=[(each.value, each.value) for each in Method])
    path = forms.CharField(
        label=gettext_lazy("Path"), max_length=500, help_text=gettext_lazy("For example /orders/{number}.")
    )
    summary = forms.CharField(label=gettext_lazy("Summary"), max_length=200, required=False)
    parameters = _JsonField(
        label=gettext_lazy("Parameters"),
        help_text=gettext_lazy("A list of Parameter Objects of OpenAPI 3.1, as JSON."),
    )
    body = _JsonField(
        label=gettext_lazy("Schema of the JSON body"),
        help_text=gettext_lazy("JSON Schema 2020-12. Leave it empty where the operation takes no body."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Look at a document, then register it: two steps of one page, and nothing is stored before the second."""
    doors.permit(request, "systems", None)
    step = request.POST.get("step", "")
    if request.method == "POST" and step in ("show", "register"):
        return _second(request, register=step == "register")
    form = DocumentForm(request.POST, request.FILES) if request.method == "POST" else DocumentForm()
    if request.method == "POST":
        source = form_fields.submit(request, form, lambda _data: _looked(form.source()), _WHERE)
        if source is not None:
            return _preview(request, source)
    return form_fields.show(request, "console/catalog/rest_api_add.html", form, {})


def _looked(source: Source) -> Source:
    """Refuse a document that cannot be read. Raises DocumentMalformed."""
    rest_apis.preview(source)
    return source


def _preview(request: HttpRequest, source: Source, form: RegisterForm | None = None) -> HttpResponse:
    """Show what a document would become, and ask for the rest."""
    imported = rest_apis.preview(source)
    if form is None:
        kept = {
            "held": "" if source.url else read.hold(source.text),
            "source_url": source.url,
            "source_name": source.file_name,
            "sha256": imported.sha256,
        }
        first = {"name": imported.title, "upstream_url": imported.address, "owner": doors.person(request).login}
        form = RegisterForm(initial={**first, **kept})
    rows = read.rows_of(imported)
    state, words = request.POST.get("state", ""), request.POST.get("q", "")
    context = {
        "imported": imported,
        "origin": source.url or source.file_name,
        "too_large": not source.url and not form["held"].value(),
        "states": STATES,
        "state": state,
        "q": words,
        "page": read.page_of(rows, state=state, words=words, number=doors.number(request.POST.get("page", "1"))),
    }
    return form_fields.show(request, "console/catalog/rest_api_preview.html", form, context)


def _second(request: HttpRequest, *, register: bool) -> HttpResponse:
    """Show another page of the preview, or register what was previewed."""
    form = RegisterForm(request.POST)
    try:
        source = _carried(request.POST)
    except DomainError as refusal:
        doors.record(request, refusal)
        first = DocumentForm({})
        first.errors.clear()
        first.add_error(None, forms.ValidationError(refusal.message, refusal.code))
        first.refused = refusal.status  # type: ignore[attr-defined]  # as form_fields.submit notes it
        return form_fields.show(request, "console/catalog/rest_api_add.html", first, {})
    if not register:
        return _preview(request, source, RegisterForm(initial=request.POST.dict()))
    created = form_fields.submit(request, form, lambda data: _register(request, data, source), _FIELDS)
    return redirect("system-page", created.slug) if created is not None else _preview(request, source, form)


def _carried(sent: Mapping[str, str]) -> Source:
    """Return the document that was previewed. Raises DocumentChanged where it is another one by now, or as `fetch`."""
    url = sent.get("source_url", "")
    if url:
        source = sources.fetch(url)
    else:
        text = read.take(sent.get("held", ""))
        if text is None:
            raise DocumentChanged
        source = sources.of_file(text, sent.get("source_name", ""))
    if hashlib.sha256(source.text).hexdigest() != sent.get("sha256", ""):
        raise DocumentChanged
    return source


def _register(request: HttpRequest, data: dict[str, Any], source: Source) -> System:
    described = {name: data[name] for name in ("slug", "name", "owner", "upstream_url")}
    values = {**described, "kind": System.Kind.HTTP, "source": source}
    system: System = doors.perform(request, catalog.REGISTER, None, values).result
    return system


@require_safe
@doors.page
def detail(request: HttpRequest, api: str) -> HttpResponse:
    """Show the document of a REST API, when it was read, and which operations were refused."""
    return _show(request, doors.find(visibility.systems(doors.caller(request)), slug=api))


def _show(
    request: HttpRequest,
    system: System,
    *,
    document: DocumentForm | None = None,
    operation: OperationForm | None = None,
) -> HttpResponse:
    if system.kind != System.Kind.HTTP:
        raise NotFound
    rest_api = RestApi.objects.filter(system=system).first() or RestApi(system=system)
    caller = doors.caller(request)
    words = request.GET.get("q", "")
    form = document or operation or DocumentForm()
    context = {
        "system": system,
        "rest_api": rest_api,
        "q": words,
        "page": read.page_of(
            read.refused_rows(rest_api.refused), words=words, number=doors.number(request.GET.get("page", "1"))
        ),
        "document_form": document or DocumentForm(initial={"document_url": rest_api.document_url}),
        "operation_form": operation or OperationForm(),
        "may_read_document": doors.may(caller, "system-openapi", system, "PUT"),
        "may_declare": doors.may(caller, "system-operations", system),
    }
    return form_fields.show(request, "console/catalog/rest_api.html", form, context)


@require_POST
@doors.page
def read_document(request: HttpRequest, slug: str) -> HttpResponse:
    """Read another document of a REST API."""
    system = doors.find_subject(request, actions.READ_DOCUMENT.subject, slug)
    form = DocumentForm(request.POST, request.FILES)
    performed = form_fields.perform(
        request, form, actions.READ_DOCUMENT, system, fields=_WHERE, values=lambda _data: {"source": form.source()}
    )
    if performed is None:
        return _show(request, system, document=form)
    found = performed.result
    messages.success(
        request,
        _("%(added)d new, %(changed)d changed, %(removed)d no longer offered.")
        % {"added": len(found.added), "changed": len(found.changed), "removed": len(found.removed)},
    )
    return redirect("rest-api-page", slug)


@require_POST
@doors.page
def declare(request: HttpRequest, slug: str) -> HttpResponse:
    """Declare one operation by hand."""
    system = doors.find_subject(request, actions.DECLARE_OPERATION.subject, slug)
    form = OperationForm(request.POST)
    where = {"operation_name_taken": "name"}
    if form_fields.perform(request, form, actions.DECLARE_OPERATION, system, fields=where, values=_operation) is None:
        return _show(request, system, operation=form)
    return redirect("system-page", slug)


def _operation(data: dict[str, Any]) -> dict[str, Any]:
    """Return an operation as the API takes it. Raises DocumentMalformed for parameters that are no list."""
    parameters = data["parameters"] or []
    if not isinstance(parameters, list) or len(json.dumps(parameters)) > read.LONGEST_HELD:
        raise DocumentMalformed(_("The parameters are no list."))
    body = data["body"]
    media = {} if body is None else {"request_body": {"content": {"application/json": {"schema": body}}}}
    return declared({**data, "description": "", "parameters": parameters, **media})
