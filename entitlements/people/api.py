"""People with their roles, and groups: list, add, look, edit, disable, enable. No password passes through the API."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import InputSerializer, OutputSerializer, Slug, Text
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.errors import DomainError
from entitlements.people import actions, limit_names, roles
from entitlements.people.models import Group, Person, Role, RoleAssignment
from entitlements.proposals.api import ProposalSerializer


class UnknownPerson(DomainError):
    """There is no person with this login or name. Choose one from the list, or type the login."""

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
    """A person and their admin roles; `role_ends` gives the end of each role that has one, `role_limits` the limit.

    A role without a limit reaches everything.
    """

    login = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField()
    manager = serializers.CharField(source="manager.login", allow_null=True, default=None)
    is_active = serializers.BooleanField()
    roles = serializers.SerializerMethodField()
    role_ends = serializers.SerializerMethodField()
    role_limits = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    def get_roles(self, person: Person) -> list[str]:
        """List the roles."""
        return [assignment.role for assignment in person.current_roles]

    def get_role_ends(self, person: Person) -> dict[str, datetime]:
        """Say when which roles end."""
        return {assignment.role: assignment.expires_at for assignment in person.current_roles if assignment.expires_at}

    def get_role_limits(self, person: Person) -> dict[str, dict[str, list[str]]]:
        """Say which systems and departments which roles are limited to."""
        return limit_names.by_role((assignment.role, assignment.limit) for assignment in person.current_roles)


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
    """A role to give, until when (an auditor's: 30 days by default, at most 400), and why.

    With `systems` (slugs) or `departments` it counts for what belongs to any of them, without both for everything.
    """

    expires_at = serializers.DateTimeField(allow_null=True, default=None)
    systems = serializers.ListField(child=Text(max_length=64), max_length=200, allow_null=True, default=None)
    departments = serializers.ListField(child=Text(max_length=300), max_length=200, allow_null=True, default=None)


class _People(Resource):
    shown: ClassVar[type[OutputSerializer]] = PersonSerializer
    subject = actions.PERSON


class People(_People, Listing, CreateEndpoint):
    """List people, and register one.

    get: List people.
    post: Register a person.
    """

    action = actions.REGISTER
    asked = PersonInputSerializer
    filterset_class = PersonFilter
    ordering = ("login",)

    def read(self) -> dict[str, Any]:
        """Read the person, and their manager by login."""
        values = super().read()
        return {**values, "manager": known_person(values["manager"]) if values["manager"] else None}


class PersonDetail(_People, Detail, ActionEndpoint):
    """Show a person, and edit them.

    get: Show a person.
    patch: Edit a person's name, e-mail or manager.
    """

    action = actions.EDIT
    asked = PersonChangesInputSerializer

    def read(self) -> dict[str, Any]:
        """Read the changes, and the manager by login."""
        values = super().read()
        return {**values, "manager": known_person(values["manager"])} if values.get("manager") else values


class GiveRole(_People, ActionEndpoint):
    """Assign an admin role to another person. One that you hold, within its limit; a platform admin assigns any."""

    action = actions.GIVE_ROLE
    asked = RoleAssignmentInputSerializer

    def read(self) -> dict[str, Any]:
        """Read the role and its limit. Raises EmptyRoleLimit, UnknownRoleLimit."""
        values = super().read()
        limit = roles.limit_to(values.pop("systems"), values.pop("departments"))
        return {**values, "limit": limit}


class TakeRole(_People, ActionEndpoint):
    """Remove an admin role from a person. By the rules by which it is assigned."""

    action = actions.TAKE_ROLE
    asked = RoleInputSerializer


class Disable(_People, ActionEndpoint):
    """Disable a person at once. Everything that acts for them is refused as well."""

    action = actions.DISABLE


class Enable(_People, ActionEndpoint):
    """Enable a disabled person."""

    action = actions.ENABLE


class Erase(_People, ActionEndpoint):
    """Propose to erase the personal data of a person who is not active. Another person confirms it.

    Erased are the personal values in the audit log, name, e-mail, what a people source sent, names at vendors and in
    chat, and addresses of sign-ins. The login stays, since the audit log names by it who acted.
    """

    action = actions.ERASE
    shown = ProposalSerializer

    def answer(self, performed: Performed) -> Response:
        """Answer with the proposal."""
        return self.show(performed.result)


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
    subject = actions.GROUP


class Groups(_Groups, Listing, CreateEndpoint):
    """List groups, and make one.

    get: List groups.
    post: Create a group.
    """

    action = actions.MAKE_GROUP
    asked = GroupInputSerializer
    filterset_class = GroupFilter
    ordering = ("slug",)

    def read(self) -> dict[str, Any]:
        """Read the group, and its people by login."""
        values = super().read()
        return {**values, "people": [known_person(login) for login in dict.fromkeys(values["people"])]}


class GroupDetail(_Groups, Detail):
    """Show a group."""


class _Membership(_Groups, ActionEndpoint):
    def read(self) -> dict[str, Any]:
        """Read the person, by login."""
        values = super().read()
        return {**values, "person": known_person(values["person"])}


class Join(_Membership):
    """Add a person to a group. They gain each grant that names the group."""

    action = actions.JOIN
    asked = MemberInputSerializer


class Leave(_Membership):
    """Remove a person from a group. They lose each grant that names the group."""

    action = actions.LEAVE
    asked = MemberInputSerializer


class MeSerializer(OutputSerializer):
    """The caller. `roles` are a person's, `role_limits` those of them that are limited to systems or departments.

    `scopes` are those of a script's or an agent's token.
    """

    principal = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())
    role_limits = serializers.DictField(
        child=serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    )
    agent = serializers.CharField(allow_null=True)
    client = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField())


class Me(Endpoint):
    """Show as whom you are signed in. With your admin roles, and the scopes of your token."""

    shown = MeSerializer

    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Show the caller."""
        caller = self.caller
        values = {
            "principal": str(caller),
            "roles": sorted({*caller.roles, *(role for role, _limit in caller.limited)}),
            "role_limits": limit_names.by_role(caller.limited),
            "agent": caller.agent.slug if caller.agent else None,
            "client": caller.client.client_id if caller.client else None,
            "scopes": sorted(caller.scopes or ()),
        }
        return Response(MeSerializer(values).data)
