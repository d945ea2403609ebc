"""People with their roles, and groups: list, add, look, edit, disable, enable. No password passes through the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.api.endpoints import Act, Listing, Look, Resource
from entitlements.api.fields import Shown, Slug, Strict, Text
from entitlements.errors import DomainError, Forbidden
from entitlements.people import people, roles
from entitlements.people.models import Group, Person, Role, RoleAssignment


class UnknownPerson(DomainError):
    """There is no person with this login."""

    code, status = "unknown_person", HTTPStatus.UNPROCESSABLE_ENTITY


def known_person(login: str) -> Person:
    """Return the person with a login. Raises UnknownPerson."""
    found = Person.objects.filter(login=login).first()
    if found is None:
        raise UnknownPerson(login=login)
    return found


class PersonFilter(filters.FilterSet):
    """Filters of the list."""

    is_active = filters.BooleanFilter()
    role = filters.CharFilter(method="held")

    class Meta:
        model = Person
        fields: ClassVar[list[str]] = []

    def held(self, rows: QuerySet[Person], _name: str, role: str) -> QuerySet[Person]:
        """Keep who holds the role now."""
        return rows.filter(roles__in=RoleAssignment.objects.current().filter(role=role))


class PersonShown(Shown):
    """A person and her roles in Mandate; `role_ends` says of each that has an end when it is."""

    login = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField()
    manager = serializers.CharField(source="manager.login", allow_null=True, default=None)
    is_active = serializers.BooleanField()
    roles = serializers.SerializerMethodField()
    role_ends = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    def get_roles(self, person: Person) -> list[str]:
        """List the roles."""
        return [each.role for each in person.current_roles]

    def get_role_ends(self, person: Person) -> dict[str, datetime]:
        """Say when which roles end."""
        return {each.role: each.expires_at for each in person.current_roles if each.expires_at}


class PersonAsked(Strict):
    """A new person, who signs in through the organisation."""

    login = Slug()
    name = Text(max_length=200)
    email = serializers.EmailField(default="", allow_blank=True)
    manager = Text(max_length=64, allow_null=True, default=None)


class PersonEdited(Strict):
    """What can be edited."""

    name = Text(max_length=200, required=False)
    email = serializers.EmailField(required=False, allow_blank=True)
    manager = Text(max_length=64, allow_null=True, required=False)


class RoleAsked(Strict):
    """A role, and why it is given or taken."""

    role = serializers.ChoiceField(choices=Role.choices)
    reason = Text(max_length=500)


class RoleGiven(RoleAsked):
    """A role to give, until when (an auditor's: 30 days when nothing is said, at most 400), and why."""

    expires_at = serializers.DateTimeField(allow_null=True, default=None)


class _People(Resource):
    shown = PersonShown
    lookup = "login"

    def rows(self) -> QuerySet[Person]:
        return visibility.people(self.caller)

    def links(self, found: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"person:{found.login}"]


class People(_People, Listing):
    """List people, or register one."""

    filterset_class = PersonFilter
    ordering = ("login",)
    asked = PersonAsked
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Register a person."""
        asked = self.body(PersonAsked)
        manager = known_person(login) if (login := asked.pop("manager")) else None
        made = people.register(**asked, manager=manager, by=self.principal)
        return self.again(made, status=HTTPStatus.CREATED)


class OnePerson(_People, Look):
    """Show a person, or edit her name, e-mail and manager."""

    asked = PersonEdited

    def patch(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Edit her."""
        found = self.found()
        self.permit(found, *self.links(found))
        asked = self.body(PersonEdited)
        if login := asked.get("manager"):
            asked["manager"] = known_person(login)
        people.edit(found, by=self.principal, **asked)
        return self.again(found)


class _Roles(_People):
    """Roles pass between people at first hand alone: the verbs look at those of whoever gives and takes."""

    asked = RoleAsked
    verb: ClassVar[Callable[..., None]]

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Do it."""
        found = self.found()
        self.permit(found, *self.links(found))
        if self.caller.human is None:
            raise Forbidden
        type(self).verb(found, by=self.caller.human, **self.body(type(self).asked))
        return self.again(found)


class GiveRole(_Roles):
    """Give a person a role that one holds, or any as a platform admin; never to oneself."""

    asked = RoleGiven
    verb = staticmethod(roles.give)


class TakeRole(_Roles):
    """Take a role from a person, by the rules by which it is given."""

    verb = staticmethod(roles.take)


class Disable(_People, Act):
    """Shut a person out at once, with everything that acts for her."""

    verb = staticmethod(people.disable)


class Enable(_People, Act):
    """Let a disabled person in again."""

    verb = staticmethod(people.enable)


class GroupFilter(filters.FilterSet):
    """Filters of the list."""

    person = filters.CharFilter(field_name="people__login")

    class Meta:
        model = Group
        fields: ClassVar[list[str]] = []


class GroupShown(Shown):
    """A group and who is in it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    people = serializers.SerializerMethodField()

    def get_people(self, group: Group) -> list[str]:
        """List the logins."""
        return sorted(person.login for person in group.people.all())


class GroupAsked(Strict):
    """A new group."""

    slug = Slug()
    name = Text(max_length=200)
    people = serializers.ListField(child=Text(max_length=64), max_length=1000, default=list)


class MemberAsked(Strict):
    """Who joins or leaves the group, and why."""

    person = Text(max_length=64)
    reason = Text(max_length=500)


class _Groups(Resource):
    shown = GroupShown
    lookup = "slug"

    def rows(self) -> QuerySet[Group]:
        return visibility.groups(self.caller)

    def links(self, found: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"group:{found.slug}"]


class Groups(_Groups, Listing):
    """List groups, or make one."""

    filterset_class = GroupFilter
    ordering = ("slug",)
    asked = GroupAsked
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Make a group."""
        asked = self.body(GroupAsked)
        members = [known_person(login) for login in dict.fromkeys(asked["people"])]
        made = people.make_group(asked["slug"], name=asked["name"], people=members, by=self.principal)
        return self.again(made, status=HTTPStatus.CREATED)


class OneGroup(_Groups, Look):
    """Show a group."""


class Join(_Groups):
    """Put a person into a group, and so into every grant that names it."""

    asked = MemberAsked

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Put the person in."""
        found = self.found()
        self.permit(found, *self.links(found))
        asked = self.body(MemberAsked)
        people.join_group(found, known_person(asked["person"]), by=self.principal, reason=asked["reason"])
        return self.again(found)


class Leave(_Groups):
    """Take a person out of a group, and so out of every grant that names it."""

    asked = MemberAsked

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Take the person out."""
        found = self.found()
        self.permit(found, *self.links(found))
        asked = self.body(MemberAsked)
        people.leave_group(found, known_person(asked["person"]), by=self.principal, reason=asked["reason"])
        return self.again(found)
