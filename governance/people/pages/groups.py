"""Groups of people: the list, one group, who joins and who leaves."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.api.actions import Action
from entitlements.errors import DomainError, ReasonRequired
from entitlements.grants.models import Grant
from entitlements.people import actions
from entitlements.people.models import Group
from governance.console import doors, form_fields
from governance.console.kit.components import Crumb
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Column, Facet, Layout
from governance.people.queries import with_counts, with_member

_RESERVED: Final = frozenset({"add"})
_FIELDS: Final = {"group_taken": "slug"}


class AddForm(forms.Form):
    """A new group."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        label=gettext_lazy("Short name"),
        max_length=64,
        required=False,
        help_text=gettext_lazy("It never changes. If empty, it is derived from the name."),
    )

    def clean(self) -> dict[str, str]:
        """Make the short name."""
        data = super().clean() or {}
        slug = data.get("slug") or slugify(data.get("name", ""))[:64].strip("-")
        if not {"slug", "name"} & self.errors.keys() and (not slug or slug in _RESERVED):
            self.add_error("slug", forms.ValidationError(_("Choose another short name."), "invalid"))
        return {**data, "slug": slug}


LAYOUT: Final[Layout[Group, Group]] = Layout(
    name="groups",
    label=gettext_lazy("Groups"),
    columns=(
        Column(
            "group",
            gettext_lazy("Group"),
            "name",
            sorts="name",
            cell=cells.link("name", "group-page", "slug"),
            main=True,
        ),
        Column("slug", gettext_lazy("Short name"), "slug", sorts="slug", cell=cells.code("slug"), usual=False),
        Column("people", gettext_lazy("People"), "size", number=True),
        Column("grants", gettext_lazy("Grants"), "grant_count", number=True),
    ),
    order="group",
    facets=(Facet("person", gettext_lazy("Member"), reference="person", narrow=with_member),),
    search=("slug", "name"),
    search_label=gettext_lazy("Name"),
    key="slug",
    empty="console/people/no_groups.html",
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List the groups that the person sees."""
    caller = doors.caller(request)
    context = {"may_add": doors.may(caller, "groups", None)}
    return lists.show(request, LAYOUT, with_counts(visibility.groups(caller)), "console/people/groups.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Make a group, still without members."""
    doors.permit(request, "groups", None)
    form = AddForm(request.POST) if request.method == "POST" else AddForm()
    if request.method == "POST":
        created = form_fields.perform(
            request, form, actions.MAKE_GROUP, fields=_FIELDS, values=lambda data: {**data, "people": []}
        )
        if created:
            return redirect("group-page", created.result.slug)
    context = {
        "title": _("Add group"),
        "crumbs": [Crumb(reverse("group-list"), _("Groups"))],
        "lead": _("A grant that names a group acts for its members at the time of each call."),
        "away": reverse("group-list"),
        "act": _("Add group"),
    }
    return form_fields.show(request, "console/kit/form.html", form, context)


@require_safe
@doors.page
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who is in a group, and which access names it."""
    return _show(request, _group(request, slug))


@require_POST
@doors.page
def join(request: HttpRequest, slug: str) -> HttpResponse:
    """Put a person into the group, and so into every access that names it."""
    return _change(request, slug, actions.JOIN)


@require_POST
@doors.page
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a person out of the group, and so out of every access that names it, at once."""
    return _change(request, slug, actions.LEAVE)


def _change(request: HttpRequest, slug: str, action: Action) -> HttpResponse:
    group = _group(request, slug)
    doors.permit(request, action.address, group)
    try:
        if not (reason := doors.reason(request)):
            raise ReasonRequired
        person = form_fields.person(request, "person")
        doors.perform(request, action, group, {"person": person, "reason": reason})
    except DomainError as refusal:
        doors.record(request, refusal)
        return _show(request, group, refusal)
    return redirect("group-page", slug)


def _show(request: HttpRequest, group: Group, problem: DomainError | None = None) -> HttpResponse:
    caller = doors.caller(request)
    context = {
        "group": group,
        "problem": problem,
        "given": request.POST,
        "members": group.people.select_related("sourced").order_by("name"),
        "grants": visibility.grants(caller)
        .filter(ended_at=None, pk__in=Grant.objects.filter(subjects__group=group).values("pk"))
        .order_by("agent__slug")[:50],
        "may_join": doors.may(caller, "group-join", group),
        "may_leave": doors.may(caller, "group-leave", group),
    }
    return render(request, "console/people/group.html", context, status=problem.status if problem else HTTPStatus.OK)


def _group(request: HttpRequest, slug: str) -> Group:
    group: Group = doors.find_subject(request, actions.GROUP, slug)
    return group
