"""A person's page, with edits of e-mail, manager and admin roles."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from http import HTTPStatus
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.errors import DomainError, Forbidden
from entitlements.people import actions, people, roles
from entitlements.people.models import Person, Role
from entitlements.people.role_limits import EVERYTHING, RoleLimit
from governance.blast_radius.queries import reach
from governance.console import doors, form_fields
from governance.console.kit import combobox
from governance.console.kit.components import Crumb
from governance.people import queries as people_queries
from governance.proposals import pages as proposal_pages

_MOST: Final = 500
"""How many systems and departments a list to choose from holds."""
_RESERVED: Final = frozenset({"add"})
_FIELDS: Final = {"manager_loop": "manager", "self_appointment": "manager"}
MEANINGS: Final = {
    Role.ANALYST: gettext_lazy("Registers systems, tools, agents and people, runs access reviews, suspends access."),
    Role.APPROVER: gettext_lazy("Decides requests where an approval policy names approvers."),
    Role.SECURITY: gettext_lazy("Decides requests of high risk, suspends access and restores it."),
    Role.RESPONDER: gettext_lazy("Suspends and revokes access. Nothing else."),
    Role.AUDITOR: gettext_lazy("Reads everything and changes nothing."),
    Role.ADMIN: gettext_lazy("Administers Mandate: people, keys and set-up. Makes no decision about access."),
}
"""What each admin role is for, in words."""


class EditForm(forms.Form):
    """What can be changed of a person."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=254, required=False)
    manager = form_fields.PersonField(
        label=gettext_lazy("Manager"),
        required=False,
        help_text=gettext_lazy("Approves for them where an approval policy names the manager."),
    )


class AddForm(EditForm):
    """A new person, who then comes in through the company's sign-in or by an invitation."""

    field_order = ("login", "name", "email", "manager")

    login = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        label=gettext_lazy("Login"),
        max_length=64,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy("Lower case letters, digits and hyphens. It is never given to another person later."),
    )

    def clean_login(self) -> str:
        """Refuse what stands in the place of a login in the addresses of pages."""
        login = str(self.cleaned_data["login"])
        if login in _RESERVED:
            raise forms.ValidationError(_("Choose another login."), "login_taken")
        return login


def _address(person: Person) -> str:
    return reverse("person-page", args=[person.login])


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Add a person, as yet without any role."""
    doors.permit(request, "people", None)
    form = AddForm(request.POST) if request.method == "POST" else AddForm()
    if request.method == "POST":
        created = form_fields.perform(request, form, actions.REGISTER, fields={"login_taken": "login"})
        if created:
            return redirect(_address(created.result))
    context = {
        "title": _("Add person"),
        "crumbs": [Crumb(reverse("people-list"), _("People"))],
        "lead": _("They sign in with the company's identity provider. Admin roles are given on their page."),
        "away": reverse("people-list"),
        "act": _("Add person"),
    }
    return form_fields.show(request, "console/kit/form.html", form, context)


@require_safe
@doors.page
def detail(request: HttpRequest, login: str) -> HttpResponse:
    """Show a person: their names, admin roles, groups, agents and systems."""
    person = doors.find(visibility.people(doors.caller(request)), login=login)
    return _show(request, person)


def _show(request: HttpRequest, person: Person, problem: DomainError | None = None) -> HttpResponse:
    caller = doors.caller(request)
    held = {assignment.role: assignment for assignment in person.roles.current()}
    limits = people_queries.limits_in_words(held.values())
    givable = _givable_roles(request, person)
    proposed = proposal_pages.about(request, [f"person:{person.login}"])
    context: dict[str, Any] = {
        "person": person,
        "problem": problem,
        "held": [
            (value, label, MEANINGS[Role(value)], value in givable, held[value].expires_at, limits.get(value, ""))
            for value, label in Role.choices
            if value in held
        ],
        "reach": reach.of_person(caller, person),
        "offered": [(value, label, MEANINGS[Role(value)]) for value, label in Role.choices if value in givable],
        "limit_departments": people_queries.departments()[:_MOST] if givable else (),
        "groups": visibility.groups(caller).filter(people=person).order_by("slug"),
        "sponsors": visibility.agents(caller).filter(sponsor=person).order_by("slug"),
        "owns": visibility.agents(caller).filter(owner=person).order_by("slug"),
        "systems": visibility.systems(caller).filter(owner=person).order_by("slug"),
        "sees_risk": doors.may(caller, "risk", None, "GET"),
        "may_edit": doors.may(caller, "person", person, "PATCH"),
        "may_stop": person.is_active and doors.may(caller, "person-disable", person),
        "may_erase": not (person.is_active or proposed) and doors.may(caller, "person-erase", person),
        "proposals": proposed,
        "may_enable": not person.is_active and doors.may(caller, "person-enable", person),
    }
    return render(request, "console/people/person.html", context, status=problem.status if problem else HTTPStatus.OK)


def _givable_roles(request: HttpRequest, person: Person) -> set[str]:
    """Return the admin roles that the caller may give or take here; the actions check again."""
    caller = doors.caller(request)
    if person.pk == doors.person(request).pk or not doors.may(caller, "person-role-give", person):
        return set()
    own = {*caller.roles, *(role for role, _limit in caller.limited)}
    return set(Role.values) if caller.has(Role.ADMIN) else own


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def edit(request: HttpRequest, login: str) -> HttpResponse:
    """Change name, e-mail or manager of a person."""
    person = doors.find_subject(request, actions.PERSON, login)
    doors.permit(request, "person", person, "PATCH")
    known = {"name": person.name, "email": person.email, "manager": person.manager.login if person.manager else ""}
    form = EditForm(request.POST) if request.method == "POST" else EditForm(initial=known)
    if request.method == "POST" and form_fields.perform(request, form, actions.EDIT, person, fields=_FIELDS):
        return redirect(_address(person))
    context = {
        "title": _("Edit %(name)s") % {"name": person.name},
        "crumbs": [Crumb(reverse("people-list"), _("People")), Crumb(_address(person), person.name)],
        "away": _address(person),
        "act": _("Save"),
    }
    return form_fields.show(request, "console/kit/form.html", form, context)


BUTTONS: Final = {"give": actions.GIVE_ROLE, "take": actions.TAKE_ROLE}


@require_POST
@doors.page
def change_role(request: HttpRequest, login: str) -> HttpResponse:
    """Give a person an admin role, or take one, after step-up authentication."""
    person = doors.find_subject(request, actions.PERSON, login)
    try:
        action = doors.pressed(request, BUTTONS)
        values: dict[str, Any] = {"role": request.POST.get("role", ""), "reason": doors.reason(request)}
        if action is actions.GIVE_ROLE:
            values["expires_at"] = _end(request.POST.get("until", ""))
            values["limit"] = _limit(request)
        doors.perform(request, action, person, values)
    except Forbidden:
        raise
    except DomainError as refusal:
        doors.record(request, refusal)
        return _show(request, person, refusal)
    return redirect(_address(person))


def _limit(request: HttpRequest) -> RoleLimit:
    """Read how far a role reaches: everything, unless it is limited or a system or department is named.

    Raises EmptyRoleLimit, UnknownRoleLimit.
    """
    systems = combobox.keys(doors.caller(request), "system", request.POST.getlist("system"))
    departments = request.POST.getlist("department")
    is_limited = request.POST.get("reach") == "limited" or systems or departments
    return roles.limit_to(systems, departments) if is_limited else EVERYTHING


def _end(day: str) -> datetime | None:
    """Read the last day of a role, which ends with it; None when it is empty. Raises RoleEndRefused."""
    if not day:
        return None
    try:
        return datetime.combine(date.fromisoformat(day), time.max, UTC)
    except ValueError as error:
        raise people.RoleEndRefused from error


enable = doors.post(actions.ENABLE, _address)
erase = doors.post(actions.ERASE, _address)
