"""The list of people."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from entitlements.access import visibility
from entitlements.errors import Forbidden
from entitlements.people.models import Person, Role, RoleAssignment
from entitlements.people.role_limits import NOTHING
from governance.blast_radius.queries import departments
from governance.console import doors, tags
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View


def _roles(person: Person) -> str:
    return ", ".join(str(assignment.get_role_display()) for assignment in person.current_roles)


def _role_choices(_request: HttpRequest) -> list[Choice]:
    current = RoleAssignment.objects.current()
    return [Choice(role, label, Q(pk__in=current.filter(role=role).values("person"))) for role, label in Role.choices]


def _departments(_request: HttpRequest) -> list[Choice]:
    return [Choice(name, name, Q(department=name)) for name in departments.names()]


_LEFT: Final = Q(is_active=False, sourced__left_at__isnull=False)
_STATES: Final = (
    Choice("active", gettext_lazy("Active"), Q(is_active=True)),
    Choice("disabled", gettext_lazy("Disabled"), Q(is_active=False) & ~_LEFT),
    Choice("left", gettext_lazy("Left"), _LEFT),
)
LAYOUT: Final[Layout[Person, Person]] = Layout(
    name="people",
    label=gettext_lazy("People"),
    columns=(
        Column(
            "person",
            gettext_lazy("Person"),
            "name",
            sorts="name",
            cell=cells.link("name", "person-page", "login", sub="email"),
            main=True,
        ),
        Column("login", gettext_lazy("Login"), "login", sorts="login", cell=cells.code("login"), usual=False),
        Column("email", gettext_lazy("E-mail"), "email", usual=False),
        Column("department", gettext_lazy("Department"), "department"),
        Column("roles", gettext_lazy("Admin roles"), _roles),
        Column("manager", gettext_lazy("Manager"), "manager__name", cell=cells.person("manager")),
        Column("added", gettext_lazy("Added"), "created_at", sorts="created_at", usual=False),
        Column("state", gettext_lazy("State"), "is_active", cell=tags.person_status),
    ),
    order="person",
    facets=(
        Facet("state", gettext_lazy("State"), choices=_STATES),
        Facet("role", gettext_lazy("Admin role"), choices=_role_choices),
        Facet("department", gettext_lazy("Department"), choices=_departments, count=False),
        Facet("manager", gettext_lazy("Manager"), "manager__login", reference="person"),
    ),
    search=("login", "name", "email"),
    search_label=gettext_lazy("Name, login or e-mail"),
    views=(View("left", gettext_lazy("Left"), "state=left"),),
    key="login",
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List people, for those who see them by a role."""
    caller = doors.caller(request)
    if caller.seen_reach == NOTHING:
        raise Forbidden
    rows = visibility.people(caller).select_related("sourced", "manager__sourced").prefetch_related("roles")
    context: dict[str, Any] = {"may_add": bool(doors.row("people").roles & caller.roles)}
    shown = rows.annotate(department=departments.of_person())
    return lists.show(request, LAYOUT, shown, "console/people/people.html", context)
