"""What people and programs do with catalogues in files: each action declared once, for API and console."""

from __future__ import annotations

from functools import partial

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from audit.context import Principal
from entitlements import tasks
from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Subject
from entitlements.api.fields import EmptyInputSerializer
from entitlements.catalog_files import imports
from entitlements.catalog_files.models import CatalogImport
from entitlements.people.models import Person


def begin(previewed: CatalogImport, *, by: Principal) -> None:
    """Confirm an import, and take it in at once when it is small, else have a worker do it."""
    imports.confirm(previewed, by=by)
    if imports.is_small(previewed):
        while imports.continue_import(previewed.pk):
            pass
    else:  # a message that is lost is made up for by the sweep
        transaction.on_commit(partial(tasks.run_import.delay, str(previewed.pk)), robust=True)


def _import(*, content: bytes, file_name: str, owner: Person, confirm: bool = False, by: Principal) -> CatalogImport:
    """Preview a catalogue, and import it where `confirm` is set."""
    previewed = imports.preview(content, file_name=file_name, owner=owner, by=by)
    if confirm:
        begin(previewed, by=by)
    return previewed


IMPORT_SUBJECT = Subject(visibility.imports, imports.about)

IMPORT = Action("imports", NEW, _import, input=None)
CONFIRM = Action(
    "import-confirm",
    IMPORT_SUBJECT,
    begin,
    input=EmptyInputSerializer,
    done=_("The import has started. It approves no tool."),
)
