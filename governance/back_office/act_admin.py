"""An admin of rows that can be acted on: which acts are offered, on the list and on the page of one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import attrgetter, or_
from types import MappingProxyType
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.options import Action, ActionLocation
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.access.caller import Caller
from entitlements.admin import ReadOnlyAdmin
from entitlements.api.actions import Subject
from entitlements.revocation import effects
from governance.console import doors

from . import pages
from .acts import Act

_IN_USE: Final = gettext_lazy(
    "active grants: %(grants)d, open sessions: %(sessions)d, live tokens: %(tokens)d, people: %(people)d"
)


class ActAdmin(ReadOnlyAdmin):
    """Rows to look at, and to act on as console and API do: by the same actions, with the same refusals."""

    subject: ClassVar[Subject]
    console_page: ClassVar[str]
    """The name of the page that shows a row."""
    console_lookup: ClassVar[tuple[str, ...]] = ()
    """The lookups that the parts of its address are; as the subject's where they are not said."""
    acts: ClassVar[tuple[Act, ...]]
    relations: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Where the people stand that the matrix names by relation, as lookups from a row."""
    effect: ClassVar[str] = ""
    """The kind of what is stopped, of which what is in use now is counted."""
    change_form_template = "admin/act_change_form.html"

    @admin.display(description=gettext_lazy("What"))
    def label(self, row: Any) -> str:  # noqa: ANN401 - a row
        """Return what people call the row."""
        return str(row.name)

    def facts(self, row: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - a row
        """Return what to know of the row before it is acted on: a term and its value each."""
        if not self.effect:
            return []
        reach = effects.count_effects(self.effect, row)
        return [(_("In use"), _IN_USE % reach)]

    def console_address(self, row: Any) -> str:  # noqa: ANN401 - a row
        """Return the address of the row's console page, empty without one."""
        return reverse(self.console_page, args=[_part(row, lookup) for lookup in self.parts()])

    def parts(self) -> tuple[str, ...]:
        """Return the lookups by which its console page names a row."""
        return self.console_lookup or self.subject.lookup

    def address_of(self, parts: Iterable[object]) -> str:
        """Return the address that leads to the row which its console page names so."""
        return f"{self.address('named')}?{urlencode(dict(zip(self.parts(), parts, strict=True)))}"

    @admin.display(description=gettext_lazy("Console"))
    def console(self, row: Any) -> SafeString | str:  # noqa: ANN401 - a row
        """Lead to the row's console page."""
        address = self.console_address(row)
        return format_html('<a href="{}">{}</a>', address, _("Open in the console")) if address else "-"

    def get_list_display(self, request: HttpRequest) -> Any:  # noqa: ANN401 - Django's signature
        """Return the columns, the way to the console last."""
        return [*super().get_list_display(request), "console"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that the person sees in the console."""
        return self.subject.rows(doors.caller(request))

    def get_urls(self) -> list[URLPattern]:
        """Add the address of an act, and the one by which the console names a row."""
        named = self.admin_site.admin_view(self.named)
        mine = [
            path("named/", named, name=self._name("named")),
            path("acts/<slug:name>/", doors.page(self.act), name=self._name("act")),
        ]
        return [*mine, *super().get_urls()]

    def _name(self, view: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{view}"

    def address(self, view: str, *args: object) -> str:
        """Return the address of a view of this admin."""
        return reverse(f"{self.admin_site.name}:{self._name(view)}", args=args)

    def address_of_act(self, act: Act, keys: list[Any], back: str) -> str:
        """Return where an act on these rows is confirmed, and where it leads afterwards."""
        return f"{self.address('act', act.name)}?{urlencode({'key': keys, 'next': back}, doseq=True)}"

    def act(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """Confirm an act, or do it."""
        act = next((act for act in self.acts if act.name == name), None)
        if act is None:
            raise Http404
        return pages.confirm(request, self, act)

    def named(self, request: HttpRequest) -> HttpResponse:
        """Lead to the page of the row that the console names. Raises Http404 where the person sees none."""
        key = {lookup: request.GET.get(lookup, "") for lookup in self.parts()}
        try:
            row = self.get_queryset(request).filter(**key).first()
        except (ValidationError, ValueError) as error:
            raise Http404 from error
        if row is None:
            raise Http404
        return redirect(self.address("change", row.pk))

    def get_actions(
        self, request: HttpRequest, action_location: ActionLocation = ActionLocation.CHANGE_LIST
    ) -> dict[str, Any]:
        """Return the acts on ticked rows that the person may do to any of the rows that they see."""
        if action_location != ActionLocation.CHANGE_LIST:
            return {}  # the page of a row has its acts as object tools
        caller = doors.caller(request)
        return {
            act.name: Action(_led_to(act), act.name, str(act.label), str(act.label), [action_location])
            for act in self.acts
            if act.roles & caller.roles or self.has_relations(caller, act)
        }

    def has_relations(self, caller: Caller, act: Act) -> bool:
        """Whether the person may do it to some row by what they are to it."""
        lookups = [lookup for relation, lookup in self.relations.items() if relation in act.relations]
        if not lookups or caller.human is None:
            return False
        mine = reduce(or_, (Q(**{lookup: caller.human}) for lookup in lookups))
        return self.subject.rows(caller).filter(mine).exists()

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,  # noqa: FBT001, FBT002 - as above
        change: bool = False,  # noqa: FBT001, FBT002 - as above
        form_url: str = "",
        obj: Model | None = None,
    ) -> HttpResponse:
        """Show a row with the acts that are offered on it, and the way to the console."""
        if obj is not None:
            caller, back = doors.caller(request), self.address("change", obj.pk)
            offered = [act for act in self.acts if act.offers(caller, obj)]
            context["tools"] = [(act, self.address_of_act(act, [obj.pk], back)) for act in offered]
            context["console_address"] = self.console_address(obj)
        return super().render_change_form(request, context, add, change, form_url, obj)


def _part(row: Any, lookup: str) -> Any:  # noqa: ANN401 - a row
    """Return the value that a lookup stands for."""
    return attrgetter(lookup.replace("__", "."))(row)


def _led_to(act: Act) -> Any:  # noqa: ANN401 - what Django calls
    """Return what leads from ticked rows to the page that confirms the act."""

    def confirm(kind: ActAdmin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        keys = list(rows.values_list("pk", flat=True)[: pages.MOST + 1])
        if len(keys) > pages.MOST:
            messages.error(request, _("One page of a list at a time."))
            return None
        return redirect(kind.address_of_act(act, keys, request.get_full_path()))

    return confirm
