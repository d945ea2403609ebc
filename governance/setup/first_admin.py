"""Invitations of the first administrator, before there is anyone to invite them."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.errors import DomainError
from entitlements.people import people
from entitlements.people.models import Person, Role
from governance.setup.models import Invitation

GOOD_FOR: Final = timedelta(minutes=15)


class AdminExists(DomainError):
    """There already is an administrator, who can invite others. With --again a link is made anyway, and recorded."""

    code, status = "admin_exists", HTTPStatus.CONFLICT


class InvitationSpent(DomainError):
    """The link was already used, or it has expired. Ask for a new one."""

    code, status = "invitation_spent", HTTPStatus.GONE


@transaction.atomic
def invite(email: str, *, by: Principal, reason: str, again: bool = False) -> tuple[Person, str]:
    """Make or find the platform administrator with this address, and make a link for them; earlier links end.

    A person whose own first link was never used cannot sign in, and is no administrator yet. Returns the person and the
    link's secret part, which is kept nowhere. Raises AdminExists, LoginTaken.
    """
    invited = Person.objects.filter(last_login=None, invitations__isnull=False).exclude(
        invitations__used_at__isnull=False
    )
    if not again and Person.objects.holding(Role.ADMIN).exclude(pk__in=invited).exists():
        raise AdminExists
    person = Person.objects.filter(email__iexact=email, is_active=True).order_by("pk").first()
    if person is None:
        person = register(email, by=by)
    people.assign_role(person, Role.ADMIN, by=by, reason=reason)
    return person, make_link(person, by=by, reason=reason, again=again)


@transaction.atomic
def make_link(person: Person, *, by: Principal, reason: str, again: bool = False) -> str:
    """Make a link for a person and return its secret part; earlier links of theirs end."""
    token, now = secrets.token_urlsafe(32), clock.now()
    Invitation.objects.filter(person=person, used_at=None, expires_at__gt=now).update(expires_at=now)
    Invitation.objects.create(person=person, digest=digest(token), made_at=now, expires_at=now + GOOD_FOR)
    log.record(Action.PERSON_INVITED, about=[f"person:{person.login}"], by=by, reason=reason, detail={"again": again})
    return token


@transaction.atomic
def accept(token: str, password: str) -> Person:
    """Set the password of the link's person; the link is then used. Raises InvitationSpent."""
    now = clock.now()
    alive = _alive(token, now).filter(person__is_active=True)
    if not alive.update(used_at=now):
        raise InvitationSpent
    person = Person.objects.get(invitations__digest=digest(token))
    person.set_password(password)
    person.save(update_fields=["password"])
    log.record(Action.PERSON_PASSWORD_SET, about=[f"person:{person.login}"], by=person.principal)
    return person


def holder(token: str) -> Person:
    """Return whom a link is for, while it is good. Raises InvitationSpent."""
    invitation = _alive(token, clock.now()).select_related("person").first()
    if invitation is None or not invitation.person.is_active:
        raise InvitationSpent
    return invitation.person


def _alive(token: str, now: datetime) -> QuerySet[Invitation]:
    """Select the link while it is valid. A link from before its person was disabled stays invalid."""
    last = F("person__sign_ins_valid_after")
    unspent = Invitation.objects.filter(digest=digest(token), used_at=None, expires_at__gt=now)
    return unspent.filter(Q(person__sign_ins_valid_after=None) | Q(made_at__gt=last))


def digest(token: str) -> str:
    """Return what is kept of a link: a fast hash suffices for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def register(email: str, *, by: Principal) -> Person:
    """Register a person by their address alone; the login is the part before the @. Raises LoginTaken."""
    login = re.sub(r"[^a-z0-9_-]+", "-", email.partition("@")[0].lower()).strip("-")[:64] or "admin"
    return people.register(login, name=email.partition("@")[0], email=email, by=by)
