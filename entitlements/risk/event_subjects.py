"""Whom a security event is about: its subject identifiers (RFC 9493), as people and sessions here.

A person is found by the issuer and the subject that two people linked, by a login of our own issuer, or by a mail
address that one active person alone has. Events move risk; no sign-in relies on this.
"""

from __future__ import annotations

from django.db.models import Func, Value

from entitlements import addresses
from entitlements.people.models import Identity, Person
from entitlements.sessions.models import Session
from entitlements.strict import known_uuid

from .security_events import Event, SubjectName
from .subject import RiskSubject, sessions


def of(event: Event) -> RiskSubject | None:
    """Return the session that an event names and that is known here, else the person; None where neither is known.

    A session counts only where it is the named person's.
    """
    person = None if event.subject is None else _person(event.subject)
    session = None if event.session is None else _session(event.session)
    if session is not None and (event.subject is None or (person is not None and session.person_id == person.pk)):
        return RiskSubject(session=session)
    return None if person is None else RiskSubject(person=person)


def _person(named: SubjectName) -> Person | None:
    if named.format == "iss_sub":
        issuer, subject = named.names
        if issuer == addresses.issuer(addresses.IDP):
            return Person.objects.filter(login=subject).first()
        linked = Identity.objects.filter(issuer__issuer=issuer, issuer__enabled=True, subject=subject)
        link = linked.select_related("person").first()
        return link.person if link is not None else None
    if named.format == "email":
        mailbox = Func(Value(named.names[0]), function="entitlements_mailbox")
        rows = Person.objects.alias(box=Func("email", function="entitlements_mailbox"))
        found = list(rows.filter(box=mailbox, is_active=True)[:2])
        return found[0] if len(found) == 1 else None
    return None


def _session(named: SubjectName) -> Session | None:
    key = known_uuid(named.names[0]) if named.format == "opaque" and named.names else None
    found: Session | None = sessions().filter(pk=key).first() if key is not None else None
    return found
