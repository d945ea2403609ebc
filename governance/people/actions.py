"""What people do with people sources and the group mapping: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from audit.context import Principal
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.people import role_maps
from entitlements.people.models import GroupMapping
from entitlements.people_sources import people_files, sources
from entitlements.people_sources.models import PeopleSource


def _check(source: PeopleSource, *, by: Principal) -> list[str]:  # noqa: ARG001 - a look records no actor
    return sources.check(source)


def _rotate(source: PeopleSource, *, by: Principal, reason: str) -> str:  # noqa: ARG001 - the log says it without one
    return sources.rotate(source, by=by)


def _take_file(
    source: PeopleSource, text: str, *, complete: bool, seen: str = "", reason: str = "", by: Principal
) -> people_files.Plan:
    """Look at a file of people, or take in what was `seen` of it."""
    if not seen:
        return people_files.plan(source, text, complete=complete, by=by)
    return people_files.apply(source, text, complete=complete, seen=seen, by=by, reason=reason)


SOURCE = Subject(
    lambda _caller: PeopleSource.objects.select_related("subjects_of"),
    lambda source: [str(source.principal)],
    ("slug",),
)
MAPPING = Subject(
    lambda _caller: GroupMapping.objects.select_related("issuer", "proposed_by", "confirmed_by"),
    role_maps.KIND.about,
    by=person,
    by_key=True,
)

CONNECT = Action("people-sources", NEW, sources.make, input=None)
TEST = Action("people-source-test", SOURCE, _check, input=None)
ROTATE = Action("people-source-rotate", SOURCE, _rotate, reason_in_form=False)
END = Action(
    "people-source-disable",
    SOURCE,
    sources.disable,
    done=_("The connection of %(name)s has ended. Its people stay as they are."),
)
LET_THROUGH = Action(
    "people-source-let-through",
    SOURCE,
    sources.allow_removals,
    done=lambda performed: (
        ngettext("%(n)d person was shut out.", "%(n)d people were shut out.", performed.result)
        % {"n": performed.result}
    ),
)
KEEP = Action(
    "people-source-keep",
    SOURCE,
    sources.refuse_removals,
    done=lambda performed: (
        ngettext("%(n)d person stays.", "%(n)d people stay.", performed.result) % {"n": performed.result}
    ),
)
TAKE_FILE = Action("people-source-file", SOURCE, _take_file, input=None)

PROPOSE = Action(
    "group-mappings",
    NEW,
    role_maps.propose,
    input=None,
    by=person,
    done=_("Proposed. It gives nothing before a second person puts it in force."),
)
CONFIRM = Action("group-mapping-confirm", MAPPING, role_maps.KIND.confirm, done=_("In force from the next sign-in on."))
END_MAPPING = Action(
    "group-mapping-end", MAPPING, role_maps.end, done=_("Ended; the roles that it gave are taken away.")
)
