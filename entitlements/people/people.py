"""Actions on people: register, edit, disable, enable, roles, groups, identities, personal tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final, TypedDict, Unpack

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.agents.models import Agent
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.hooks import Hook
from entitlements.people.models import (
    LONGEST_AUDIT,
    ApiToken,
    Group,
    Identity,
    Membership,
    Person,
    Role,
    RoleAssignment,
)
from entitlements.people.role_limits import EVERYTHING, RoleLimit
from entitlements.people_sources.models import SourcedGroup, SourcedPerson
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families import families
from entitlements.trusted_issuers.models import TrustedIssuer

from . import limit_names

DEFAULT_AUDIT: Final = timedelta(days=30)
"""How long a person is an auditor when no end is given."""

WHEN_DISABLED: Final[Hook[[str], None]] = Hook("after a person is disabled", "approvals", "reviews")
"""What floors above do after the commit that disables a person, named by login."""


class LoginTaken(DomainError):
    """The login is taken. Choose another: a login is never given to a second person."""

    code, status = "login_taken", HTTPStatus.CONFLICT


class IdentityTaken(DomainError):
    """The issuer's subject already belongs to another person."""

    code, status = "identity_taken", HTTPStatus.CONFLICT


class GroupTaken(DomainError):
    """The group's name is taken. Choose another."""

    code, status = "group_taken", HTTPStatus.CONFLICT


class ManagerLoop(DomainError):
    """A person cannot be their own manager, directly or through others. Choose another manager."""

    code, status = "manager_loop", HTTPStatus.UNPROCESSABLE_ENTITY


class KeptBySource(DomainError):
    """A people source keeps this up to date. Change it there."""

    code, status = "kept_by_source", HTTPStatus.CONFLICT


class RoleEndRefused(DomainError):
    """The end of a role must be in the future, and an auditor's within 400 days."""

    code, status = "role_end_refused", HTTPStatus.UNPROCESSABLE_ENTITY


class UnknownRole(DomainError):
    """There is no such role."""

    code, status = "unknown_role", HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic
def register(
    login: str, *, name: str, email: str = "", manager: Person | None = None, password: str | None = None, by: Principal
) -> Person:
    """Add a person; without a password they can only come in through the company's sign-in. Raises LoginTaken."""
    person = Person(login=login, name=name, email=email, manager=manager)
    person.set_password(password)
    try:
        with transaction.atomic():
            person.save(force_insert=True)
    except IntegrityError as error:
        raise LoginTaken(login=login) from error
    personal = {f"person:{login}": {"name": name, "email": email}}
    log.record(Action.PERSON_REGISTERED, about=[*personal], by=by, personal=personal)
    return person


class PersonChanges(TypedDict, total=False):
    """What can be changed of a person; the login, being a name in the record, cannot."""

    name: str
    email: str
    manager: Person | None


@transaction.atomic
def edit(person: Person, *, by: Principal, **fields: Unpack[PersonChanges]) -> Person:
    """Change name, e-mail or manager. What stays the same is not recorded.

    Raises NotFound, ManagerLoop, KeptBySource, and SelfAppointment when the caller makes themselves a manager, or
    changes the address that ties an account to them.
    """
    locked = lock_to_edit(person)
    changed = [name for name, value in fields.items() if getattr(locked, name) != value]
    if changed and SourcedPerson.objects.filter(person=locked, removed_at=None).exists():
        raise KeptBySource
    if "email" in changed:
        independence.check_address(locked, by=by)
    if "manager" in changed and (new := fields["manager"]) is not None:
        check_manager(locked, new)
        independence.check_appointment(new, present=locked.manager, by=by)
    return write(locked, by=by, **fields)


def lock_to_edit(person: Person) -> Person:
    """Hold a person, and who manages whom, until the transaction ends; returns the row as it is. Raises NotFound."""
    locks.exclusive((Lock.PERSON, person.pk), (Lock.PERSON, "managers"))
    locked = Person.objects.select_related("manager").filter(pk=person.pk).first()
    if locked is None:
        raise NotFound
    return locked


def write(locked: Person, *, by: Principal, moved: tuple[str, ...] = (), **fields: Unpack[PersonChanges]) -> Person:
    """Write what is different, and record it with what else `moved`; for callers with the lock and the right to."""
    changed = {name: value for name, value in fields.items() if getattr(locked, name) != value}
    if not changed and not moved:
        return locked
    detail: dict[str, object] = {"changed": sorted([*changed, *moved])}
    if "manager" in changed:
        new, before = fields["manager"], locked.manager
        detail["manager"] = {"from": before.login if before else None, "to": new.login if new else None}
    for name, value in changed.items():
        setattr(locked, name, value)
    locked.save(update_fields=[*changed])
    link = f"person:{locked.login}"
    personal: dict[str, object] = {name: changed[name] for name in ("name", "email") if name in changed}
    log.record(Action.PERSON_EDITED, about=[link], by=by, detail=detail, personal={link: personal} if personal else {})
    return locked


def check_manager(person: Person, manager: Person) -> None:
    """Raise ManagerLoop when the manager is managed, directly or not, by the person."""
    above: Person | None = manager
    while above is not None:
        if above.pk == person.pk:
            raise ManagerLoop
        above = above.manager


@transaction.atomic
def disable(person: Person, *, by: Principal, reason: str) -> Person:
    """Disable a person at once, with everything that acts for them. Twice changes and records nothing.

    Their sign-ins, agents' sessions and personal tokens end for good: enabling them later brings none back.
    """
    locked = _locked(person)
    if not locked.is_active:
        return locked
    locked.is_active = False
    locked.disabled_at = locked.sign_ins_valid_after = clock.now()
    locked.save(update_fields=["is_active", "disabled_at", "sign_ins_valid_after"])
    log.record(Action.PERSON_DISABLED, about=[f"person:{locked.login}"], by=by, reason=reason)
    _end_api_tokens(locked, by=by, reason=reason)
    sessions.end_all_of(Session.objects.filter(person=locked), subjects.person(locked.pk), by=by, reason=reason)
    families.end_all_of(subjects.person(locked.pk), by=by, reason=reason)
    Agent.objects.filter(sponsor=locked).update(tokens_valid_after=locked.disabled_at)
    changes.note(subjects.person(locked.pk))
    for tell in WHEN_DISABLED.answers():  # afterwards, since they take locks that others hold while they wait for ours
        transaction.on_commit(partial(tell, locked.login), robust=True)
    return locked


@transaction.atomic
def enable(person: Person, *, by: Principal, reason: str) -> Person:
    """Enable a disabled person, as another person than the one who disabled them. They sign in again.

    A people source lets in whom it shut out itself, and says so by its own row. Raises SecondPersonNeeded, and
    KeptBySource while a people source says that they have left.
    """
    locked = _locked(person)
    if locked.is_active:
        return locked
    if by.kind != "source":
        independence.check_start(f"person:{locked.login}", Action.PERSON_DISABLED, by)
    if SourcedPerson.objects.filter(person=locked, active=False).exists():
        raise KeptBySource
    locked.is_active, locked.disabled_at, locked.sign_ins_valid_after = True, None, clock.now()
    locked.save(update_fields=["is_active", "disabled_at", "sign_ins_valid_after"])
    log.record(Action.PERSON_ENABLED, about=[f"person:{locked.login}"], by=by, reason=reason)
    _end_api_tokens(locked, by=by, reason=reason)  # of those who were disabled before their tokens ended with that
    changes.note(subjects.person(locked.pk))
    return locked


def _end_api_tokens(person: Person, *, by: Principal, reason: str) -> None:
    """End every personal token of a person, in the running transaction, with an event each."""
    living = ApiToken.objects.select_for_update().filter(person=person, revoked_at=None).order_by("pk")
    ended = list(living.values_list("pk", "label"))
    ApiToken.objects.filter(pk__in=[pk for pk, _ in ended]).update(revoked_at=clock.now())
    about = (f"person:{person.login}",)
    events = [log.Row(about=about, reason=reason, detail={"label": label, "number": pk}) for pk, label in ended]
    log.record_many(Action.API_TOKEN_REVOKED, events, by=by)


def _locked(person: Person) -> Person:
    locks.exclusive((Lock.PERSON, person.pk))
    try:
        return Person.objects.get(pk=person.pk)
    except Person.DoesNotExist as error:
        raise NotFound from error


@transaction.atomic
def assign_role(
    person: Person,
    role: str,
    *,
    expires_at: datetime | None = None,
    limit: RoleLimit = EVERYTHING,
    by: Principal,
    reason: str,
) -> None:
    """Give a person an admin role, until an end where one is given; given again, the new limit and end count.

    Given again without an end it keeps the one it has. An auditor's role ends after 30 days by default. The caller
    checks that no person changes their own roles. Raises UnknownRole, RoleEndRefused.
    """
    if role not in Role.values:
        raise UnknownRole(role=role)
    now, auditor = clock.now(), role == Role.AUDITOR
    held = RoleAssignment.objects.select_for_update().filter(person=person, role=role).first()
    if held is not None and held.expires_at is not None and held.expires_at <= now:
        end_roles([held.pk])
        held = None
    by_hand = held if held is not None and held.mapped_by_id is None else None
    if by_hand is not None and expires_at in (None, by_hand.expires_at) and by_hand.limit == limit:
        return
    ends = expires_at or (by_hand.expires_at if by_hand else None) or (now + DEFAULT_AUDIT if auditor else None)
    if ends is not None and (ends <= now or (auditor and ends > now + LONGEST_AUDIT)):
        raise RoleEndRefused(role=role)
    values = {"created_at": now, "expires_at": ends, "mapped_by": None, **limit.columns}  # until a mapping changes it
    RoleAssignment.objects.update_or_create(person=person, role=role, defaults=values)
    detail: dict[str, object] = {"role": role, **({"expires_at": ends.isoformat()} if ends else {})}
    if not limit.everything:
        detail["limit"] = limit_names.named(limit)
    log.record(Action.PERSON_ROLE_ASSIGNED, about=[f"person:{person.login}"], by=by, reason=reason, detail=detail)


@transaction.atomic
def end_roles(keys: list[int]) -> int:
    """Delete roles that are over, with an event each; returns how many. They gave nothing since their end."""
    over = RoleAssignment.objects.select_for_update(of=("self",)).filter(pk__in=keys, expires_at__lte=clock.now())
    rows = list(over.select_related("person").order_by("pk"))
    RoleAssignment.objects.filter(pk__in=[row.pk for row in rows]).delete()
    events = [log.Row(about=(f"person:{row.person.login}",), detail={"role": row.role}) for row in rows]
    log.record_many(Action.PERSON_ROLE_ENDED, events, by=SYSTEM)
    return len(rows)


@transaction.atomic
def link_identity(person: Person, issuer: TrustedIssuer, subject: str, *, by: Principal) -> Identity:
    """Say that an issuer's subject is this person. Raises IdentityTaken; never resolved by e-mail (EMA-R-15)."""
    locks.exclusive((Lock.PERSON, person.pk))
    try:
        with transaction.atomic():
            identity = Identity.objects.create(person=person, issuer=issuer, subject=subject)
    except IntegrityError as error:
        raise IdentityTaken from error
    locks.exclusive((Lock.IDENTITY_LINK, identity.pk))
    changes.note(subjects.identity_link(identity.pk), subjects.person(person.pk))
    link = f"person:{person.login}"
    about, personal = [link, f"issuer:{issuer.issuer}"], {link: {"subject": subject}}
    log.record(Action.PERSON_IDENTITY_LINKED, about=about, by=by, personal=personal)
    return identity


@transaction.atomic
def make_group(slug: str, *, name: str, people: list[Person], by: Principal) -> Group:
    """Make a group of people. Raises GroupTaken, and SelfAppointment when the caller is one of them."""
    if people:
        independence.check_membership(people, by=by)
    try:
        with transaction.atomic():
            group = Group.objects.create(slug=slug, name=name)
    except IntegrityError as error:
        raise GroupTaken(slug=slug) from error
    Membership.objects.bulk_create([Membership(group=group, person=person) for person in people])
    links = [f"group:{slug}", *(f"person:{person.login}" for person in people)]
    log.record(Action.GROUP_MADE, about=links, by=by)
    return group


@transaction.atomic
def make_large_group(slug: str, *, name: str, people: list[Person], by: Principal, reason: str) -> Group:
    """Make a group of however many people: one event each, and one statement for all. Raises as `make_group`."""
    independence.check_membership(people, by=by)
    group = make_group(slug, name=name, people=[], by=by)
    Membership.objects.bulk_create([Membership(group=group, person=person) for person in people], batch_size=5000)
    rows = [log.Row(about=(f"group:{slug}", f"person:{person.login}"), reason=reason) for person in people]
    log.record_many(Action.GROUP_JOINED, rows, by=by)
    return group


@transaction.atomic
def join_group(group: Group, person: Person, *, by: Principal, reason: str) -> None:
    """Put a person into a group, and so into every grant that names it. Twice changes and records nothing.

    Raises KeptBySource where a people source says who is in the group, and SelfAppointment for the caller themselves.
    """
    check_kept_by_hand(group)
    independence.check_membership([person], by=by)
    add_member(group, person, by=by, reason=reason)


def check_kept_by_hand(group: Group) -> None:
    """Raise KeptBySource where a people source says who is in the group."""
    if SourcedGroup.objects.filter(group=group, removed_at=None).exists():
        raise KeptBySource


def add_member(group: Group, person: Person, *, by: Principal, reason: str) -> None:
    """Do what `join_group` does, for the source that keeps the group, in the running transaction."""
    locks.exclusive((Lock.PERSON, person.pk))
    _, created = Membership.objects.get_or_create(group=group, person=person)
    if created:
        links = [f"group:{group.slug}", f"person:{person.login}"]
        log.record(Action.GROUP_JOINED, about=links, by=by, reason=reason)
        changes.note(subjects.person(person.pk), of=[subjects.group(group.pk)])


@transaction.atomic
def leave_group(group: Group, person: Person, *, by: Principal, reason: str) -> None:
    """Take a person out of a group, and so out of every grant that names it. Raises NotFound when not a member.

    Also KeptBySource where a people source says who is in the group, and SelfAppointment for the caller themselves.
    """
    check_kept_by_hand(group)
    independence.check_membership([person], by=by)
    remove_member(group, person, by=by, reason=reason)


def remove_member(group: Group, person: Person, *, by: Principal, reason: str) -> None:
    """Do what `leave_group` does, for the source that keeps the group, in the running transaction."""
    locks.exclusive((Lock.PERSON, person.pk))
    removed, _ = Membership.objects.filter(group=group, person=person).delete()
    if not removed:
        raise NotFound
    log.record(Action.GROUP_LEFT, about=[f"group:{group.slug}", f"person:{person.login}"], by=by, reason=reason)
    changes.note(subjects.person(person.pk), of=[subjects.group(group.pk)])


@transaction.atomic
def make_api_token(person: Person, label: str, *, lasts: timedelta = timedelta(days=90), by: Principal) -> str:
    """Make a personal token for scripts and return it; it is shown this once, and only its digest is kept."""
    token = f"mdt_{secrets.token_urlsafe(32)}"
    ends = clock.now() + lasts
    row = ApiToken.objects.create(person=person, label=label, digest=api_token_digest(token), expires_at=ends)
    detail = {"label": label, "number": row.pk, "expires_at": ends.isoformat()}
    log.record(Action.API_TOKEN_MADE, about=[f"person:{person.login}"], by=by, detail=detail)
    return token


@transaction.atomic
def revoke_api_token(person: Person, number: int, *, by: Principal, reason: str) -> ApiToken:
    """End one of a person's tokens for scripts. Twice changes and records nothing. Raises NotFound."""
    row = ApiToken.objects.select_for_update().filter(person=person, pk=number).first()
    if row is None:
        raise NotFound
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        row.save(update_fields=["revoked_at"])
        detail = {"label": row.label, "number": row.pk}
        log.record(Action.API_TOKEN_REVOKED, about=[f"person:{person.login}"], by=by, reason=reason, detail=detail)
    return row


def api_token_digest(token: str) -> str:
    """Return what is stored of a personal token: a fast hash suffices for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
