"""From rows to SCIM resources and back."""

from __future__ import annotations

from typing import Any, Final, cast

from django.conf import settings
from scim2_models import Context, InvalidValueException

from entitlements.people_sources.models import SourcedGroup, SourcedPerson
from entitlements.people_sources.provisioning import DirectoryPerson

from .shapes import PERSON, POLICY, EnterpriseUser, Group, Person

_LONGEST_NAME: Final = 254
_LONGEST_ID: Final = 255
_OURS: Final = frozenset({"id", "meta", "groups", "schemas"})


def person(entry: SourcedPerson) -> Person:
    """Return a person as the source sees them: its own data, and their groups here."""
    document: dict[str, Any] = {**entry.said, "id": str(entry.pk), "meta": _meta(entry, "User")}
    if not (entry.active and entry.person.is_active):
        document["active"] = False
    groups = SourcedGroup.objects.filter(group__people=entry.person, source=entry.source, removed_at=None)
    document["groups"] = [
        {"value": str(sourced.pk), "$ref": address("Group", sourced.pk), "display": sourced.group.name}
        for sourced in groups.select_related("group").order_by("created_at")
    ]
    return PERSON.model_validate(document, scim_policy=POLICY)


def group(entry: SourcedGroup, *, members: bool = True) -> Group:
    """Return a group as the source sees it; without its members where they are not requested."""
    document: dict[str, Any] = {
        "id": str(entry.pk),
        "displayName": entry.group.name,
        "meta": _meta(entry, "Group"),
        **({"externalId": entry.external_id} if entry.external_id else {}),
    }
    if members:
        document["members"] = [
            {"value": str(pk), "$ref": address("User", pk), "type": "User"}
            for pk in SourcedPerson.objects.filter(person__member_of=entry.group, source=entry.source, removed_at=None)
            .order_by("created_at", "pk")
            .values_list("pk", flat=True)
        ]
    return Group.model_validate(document, scim_policy=POLICY)


def person_data(user: Person) -> DirectoryPerson:
    """Return what a source says of a person. Raises InvalidValueException for what is too long."""
    user_name, external_id = (user.user_name or "").strip(), (user.external_id or "").strip()
    if not user_name or len(user_name) > _LONGEST_NAME or len(external_id) > _LONGEST_ID:
        raise InvalidValueException(detail="A user name has 1 to 254 characters, an external id at most 255.")
    document = user.model_dump(scim_ctx=Context.DEFAULT)
    extension = cast("EnterpriseUser | None", user[EnterpriseUser])
    manager = extension.manager if extension else None
    return DirectoryPerson(
        user_name=user_name,
        name=_name(user, user_name)[:200],
        external_id=external_id,
        email=_email(user),
        active=user.active is not False,
        manager=((manager.value if manager else "") or "")[:_LONGEST_ID],
        document={key: value for key, value in document.items() if key not in _OURS},
    )


def address(kind: str, pk: object) -> str:
    """Return the address of a resource."""
    return f"{settings.CONSOLE_URL}/scim/v2/{kind}s/{pk}"


def version(entry: SourcedPerson | SourcedGroup) -> str:
    """Return the entity tag of a resource; a weak one, since its members and groups are not counted."""
    return f'W/"{entry.version}"'


def _meta(entry: SourcedPerson | SourcedGroup, kind: str) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "created": entry.created_at,
        "lastModified": entry.changed_at,
        "location": address(kind, entry.pk),
        "version": version(entry),
    }


def _name(user: Person, otherwise: str) -> str:
    parts = user.name
    joined = " ".join(part for part in (parts.given_name, parts.family_name) if part) if parts else ""
    return user.display_name or (parts.formatted if parts else None) or joined or otherwise


def _email(user: Person) -> str:
    emails = [email for email in user.emails or [] if email.value]
    first = next((email for email in emails if email.primary), emails[0] if emails else None)
    return str(first.value) if first else ""
