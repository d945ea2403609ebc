"""What people and programs do with people and groups: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import StopInputSerializer
from entitlements.people import erasure, people, roles

PERSON = Subject(visibility.people, lambda row: [f"person:{row.login}"], ("login",))
GROUP = Subject(visibility.groups, lambda group: [f"group:{group.slug}"], ("slug",))

REGISTER = Action(
    "people",
    NEW,
    people.register,
    input=None,
    done=lambda performed: _("%(name)s was added.") % {"name": performed.result.name},
)
EDIT = Action("person", PERSON, people.edit, input=None, method="PATCH", done=_("Saved."))
GIVE_ROLE = Action(
    "person-role-give",
    PERSON,
    roles.give,
    input=None,
    by=person,
    done=_("The admin role is given."),
)
TAKE_ROLE = Action(
    "person-role-take",
    PERSON,
    roles.take,
    input=None,
    by=person,
    done=_("The admin role is removed."),
)
DISABLE = Action("person-disable", PERSON, people.disable, input=StopInputSerializer, stops="person")
ENABLE = Action("person-enable", PERSON, people.enable, done=_("%(name)s can sign in again."))
ERASE = Action(
    "person-erase", PERSON, erasure.propose, done=_("Proposed. The data stay until another person confirms it.")
)

MAKE_GROUP = Action("groups", NEW, people.make_group, input=None, done=_("Created. Next, add people to it."))
JOIN = Action(
    "group-join",
    GROUP,
    people.join_group,
    input=None,
    done=lambda performed: _("%(name)s is in the group.") % {"name": performed.values["person"].name},
)
LEAVE = Action(
    "group-leave",
    GROUP,
    people.leave_group,
    input=None,
    done=lambda performed: _("%(name)s has left the group.") % {"name": performed.values["person"].name},
)
