"""Importing a catalog: send a file, preview its changes, confirm, follow it, read what was left out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.access import visibility
from entitlements.catalog_files import actions
from entitlements.catalog_files.models import CatalogImport
from governance.console import doors, form_fields

_WHERE = dict.fromkeys(("import_not_a_catalog", "import_too_large", "import_empty", "malformed_call"), "file")


class ImportForm(forms.Form):
    """A file, and who will own the systems that are new."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("JSON of at most 8 MB: a list of systems, or the configuration of an MCP client."),
        error_messages={"required": form_fields.NEEDED},
        max_length=200,
    )
    owner = form_fields.PersonField(
        label=gettext_lazy("Owner of new systems"), error_messages={"required": form_fields.NEEDED}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Read a file and preview it. Nothing is changed yet."""
    if request.method != "POST":
        form = ImportForm(initial={"owner": doors.person(request).login})
        return _ask(request, form)
    form = ImportForm(request.POST, request.FILES)

    looked = form_fields.perform(request, form, actions.IMPORT, fields=_WHERE, values=_sent)
    return redirect(f"/systems/import/{looked.result.pk}/") if looked else _ask(request, form)


def _sent(data: dict[str, Any]) -> dict[str, Any]:
    file = data["file"]
    return {"content": file.read(), "file_name": file.name, "owner": data["owner"]}


def _ask(request: HttpRequest, form: ImportForm) -> HttpResponse:
    return form_fields.show(request, "console/catalog/import.html", form, {})


@require_safe
@doors.page
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show an import: what it would change, how far it has come, or what became of it."""
    return _show(request, doors.find(visibility.imports(doors.caller(request)), pk=pk))


def _show(request: HttpRequest, catalogue_import: CatalogImport) -> HttpResponse:
    counts = catalogue_import.counts
    rows = [
        (_("New systems"), counts.get("systems_new", 0)),
        (_("Known systems (name, owner and address stay)"), counts.get("systems_known", 0)),
        (_("New tools, to review"), counts.get("tools_new", 0)),
        (_("Changed tools, held for review"), counts.get("tools_changed", 0)),
        (_("Unchanged tools"), counts.get("tools_same", 0)),
        (_("Skipped systems"), counts.get("left_alone", 0)),
        (_("Refused rows"), counts.get("refused", 0)),
    ]
    context = {
        "imported": catalogue_import,
        "rows": rows,
        "waits": catalogue_import.state == CatalogImport.State.PREVIEW,
        "runs": catalogue_import.state == CatalogImport.State.RUNNING,
        "may_confirm": doors.may(doors.caller(request), "import-confirm", catalogue_import),
    }
    return render(request, "console/catalog/import_one.html", context)


start = doors.post(actions.CONFIRM, lambda catalogue_import: f"/systems/import/{catalogue_import.pk}/")
