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
from entitlements.api.fields import InputSerializer, OutputSerializer, Slug, Text
from entitlements.api.resources import Act, Detail, Listing, Resource
from entitlements.errors import DomainError, Forbidden
from entitlements.people import people, roles
from entitlements.people.models import Group, Person, Role, RoleAssignment


class UnknownPerson(DomainError):
    """There is no person with this login."""

    code, status = "unknown_person", HTTPStatus.UNPROCESSABLE_ENTITY


def known_person(login: str) -> Person:
    """Return the person with a login. Raises UnknownPerson."""
    person = Person.objects.filter(login=login).first()
    if person is None:
        raise UnknownPerson(login=login)
    return person


class PersonFilter(filters.FilterSet):
    """Filters of the list."""

    is_active = filters.BooleanFilter()
    role = filters.CharFilter(method="holding")

    class Meta:
        model = Person
        fields: ClassVar[list[str]] = []

    def holding(self, rows: QuerySet[Person], _name: str, role: str) -> QuerySet[Person]:
        """Keep who holds the role now."""
        return rows.filter(roles__in=RoleAssignment.objects.current().filter(role=role))


class PersonSerializer(OutputSerializer):
    """A person and their admin roles; `role_ends` gives the end of each role that has one."""

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
        return [assignment.role for assignment in person.current_roles]

    def get_role_ends(self, person: Person) -> dict[str, datetime]:
        """Say when which roles end."""
        return {assignment.role: assignment.expires_at for assignment in person.current_roles if assignment.expires_at}


class PersonInputSerializer(InputSerializer):
    """A new person, who signs in through the organisation."""

    login = Slug()
    name = Text(max_length=200)
    email = serializers.EmailField(default="", allow_blank=True)
    manager = Text(max_length=64, allow_null=True, default=None)


class PersonChangesInputSerializer(InputSerializer):
    """What can be edited."""

    name = Text(max_length=200, required=False)
    email = serializers.EmailField(required=False, allow_blank=True)
    manager = Text(max_length=64, allow_null=True, required=False)


class RoleInputSerializer(InputSerializer):
    """A role, and why it is given or taken."""

    role = serializers.ChoiceField(choices=Role.choices)
    reason = Text(max_length=500)


class RoleAssignmentInputSerializer(RoleInputSerializer):
    """A role to give, until when (an auditor's: 30 days by default, at most 400), and why."""

    expires_at = serializers.DateTimeField(allow_null=True, default=None)


class _People(Resource):
    shown = PersonSerializer
    lookup = "login"

    def rows(self) -> QuerySet[Person]:
        return visibility.people(self.caller)

    def links(self, person: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"person:{person.login}"]


class People(_People, Listing):
    """List people, or register one."""

    filterset_class = PersonFilter
    ordering = ("login",)
    asked = PersonInputSerializer
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Register a person."""
        values = self.body(PersonInputSerializer)
        manager = known_person(login) if (login := values.pop("manager")) else None
        person = people.register(**values, manager=manager, by=self.principal)
        return self.again(person, status=HTTPStatus.CREATED)


class PersonDetail(_People, Detail):
    """Show a person, or edit their name, e-mail and manager."""

    asked = PersonChangesInputSerializer

    def patch(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Edit the person."""
        person = self.find_row()
        self.permit(person, *self.links(person))
        values = self.body(PersonChangesInputSerializer)
        if login := values.get("manager"):
            values["manager"] = known_person(login)
        people.edit(person, by=self.principal, **values)
        return self.again(person)


class _Roles(_People):
    """Only a signed-in person gives or takes a role: the actions check the roles of that person."""

    asked = RoleInputSerializer
    verb: ClassVar[Callable[..., None]]

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Give or take the role."""
        person = self.find_row()
        self.permit(person, *self.links(person))
        if self.caller.human is None:
            raise Forbidden
        type(self).verb(person, by=self.caller.human, **self.body(type(self).asked))
        return self.again(person)


class GiveRole(_Roles):
    """Give another person a role that you hold, or any role as a platform admin."""

    asked = RoleAssignmentInputSerializer
    verb = staticmethod(roles.give)


class TakeRole(_Roles):
    """Take a role from a person, by the rules by which it is given."""

    verb = staticmethod(roles.take)


class Disable(_People, Act):
    """Disable a person at once, with everything that acts for them."""

    verb = staticmethod(people.disable)


class Enable(_People, Act):
    """Enable a disabled person."""

    verb = staticmethod(people.enable)


class GroupFilter(filters.FilterSet):
    """Filters of the list."""

    person = filters.CharFilter(field_name="people__login")

    class Meta:
        model = Group
        fields: ClassVar[list[str]] = []


class GroupSerializer(OutputSerializer):
    """A group and who is in it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    people = serializers.SerializerMethodField()

    def get_people(self, group: Group) -> list[str]:
        """List the logins."""
        return sorted(person.login for person in group.people.all())


class GroupInputSerializer(InputSerializer):
    """A new group."""

    slug = Slug()
    name = Text(max_length=200)
    people = serializers.ListField(child=Text(max_length=64), max_length=1000, default=list)


class MemberInputSerializer(InputSerializer):
    """Who joins or leaves the group, and why."""

    person = Text(max_length=64)
    reason = Text(max_length=500)


class _Groups(Resource):
    shown = GroupSerializer
    lookup = "slug"

    def rows(self) -> QuerySet[Group]:
        return visibility.groups(self.caller)

    def links(self, group: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"group:{group.slug}"]


class Groups(_Groups, Listing):
    """List groups, or make one."""

    filterset_class = GroupFilter
    ordering = ("slug",)
    asked = GroupInputSerializer
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Make a group."""
        values = self.body(GroupInputSerializer)
        members = [known_person(login) for login in dict.fromkeys(values["people"])]
        group = people.make_group(values["slug"], name=values["name"], people=members, by=self.principal)
        return self.again(group, status=HTTPStatus.CREATED)


class GroupDetail(_Groups, Detail):
    """Show a group."""


class Join(_Groups):
    """Put a person into a group, and so into every grant that names it."""

    asked = MemberInputSerializer

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Put the person in."""
        group = self.find_row()
        self.permit(group, *self.links(group))
        values = self.body(MemberInputSerializer)
        people.join_group(group, known_person(values["person"]), by=self.principal, reason=values["reason"])
        return self.again(group)


class Leave(_Groups):
    """Take a person out of a group, and so out of every grant that names it."""

    asked = MemberInputSerializer

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Take the person out."""
        group = self.find_row()
        self.permit(group, *self.links(group))
        values = self.body(MemberInputSerializer)
        people.leave_group(group, known_person(values["person"]), by=self.principal, reason=values["reason"])
        return self.again(group)
