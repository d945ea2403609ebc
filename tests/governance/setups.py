"""An installation whose set-up page is green in what weighty access needs, made the way it comes about."""

from __future__ import annotations

import psycopg
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.core.mail.backends.locmem import EmailBackend
from pytest_django.fixtures import Settings

from audit import chain, clock
from audit.context import SYSTEM
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.setup.models import SetupCheck
from tests import databases, make

ISSUER = "https://login.example.org"


class Outbox(EmailBackend):
    """A mail server that keeps what it is given in this process."""

    def __init__(self, host: str, port: int, *, alias: str = "default") -> None:
        super().__init__(alias=alias)
        self.server = f"{host}:{port}"


def admin(login: str, *, factor: bool = True) -> Person:
    """Make an administrator, by default one with an authenticator app."""
    made = make.person(login, roles=[Role.ADMIN], password="correct horse battery staple")
    if factor:
        Authenticator.objects.create(user=made, type=Authenticator.Type.TOTP, data={})
    return made


def kept(line: SetupCheck.Line, *, passed: bool = True, subject: str = "", sentence: str = "") -> SetupCheck:
    """Keep the result of a test."""
    values = {"passed": passed, "subject": subject, "sentence": sentence, "at": clock.now()}
    return SetupCheck.objects.create(line=line, since=clock.now() if passed else None, **values)


def company_sign_in(settings: Settings, person: Person) -> TrustedIssuer:
    """Let the company's provider be configured, tested and trusted, and somebody come in by it."""
    settings.OIDC_ISSUER = ISSUER
    kept(SetupCheck.Line.SIGN_IN, subject=ISSUER)
    issuer = trust.begin(ISSUER, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{ISSUER}/jwks", by=SYSTEM)
    people.link_identity(person, issuer, "00u1", by=SYSTEM)
    SocialAccount.objects.create(user=person, provider="company", uid="00u1")
    return issuer


def checkpoint(size: int = 3, *, root: bytes = b"r" * 32) -> chain.Checkpoint:
    """Store a checkpoint of so many events, signed now. The sealer alone may, so the test must empty the database."""
    head = chain.Checkpoint("mandate.example/record", size, root, chain.format_time(clock.now()))
    with psycopg.connect(databases.addresses().seal) as sealer:
        statement = "INSERT INTO checkpoints (size, root, note, frontier, signed_at) VALUES (%s, %s, %s, '{}', %s)"
        sealer.execute(statement, [size, root, note(head), clock.now()])
    return head


def note(head: chain.Checkpoint) -> str:
    """Write a checkpoint as the anchor keeps it; nobody here looks at the signature."""
    return f"{head.text()}\n\u2014 mandate.example/record AAAA\n"


def anchored(text: str | None = None, problem: str = "") -> None:
    """Let the sealer have seen a note in the anchor: the one of a checkpoint, if none is given."""
    with psycopg.connect(databases.addresses().seal) as sealer:
        values = [text if text is not None else note(checkpoint()), problem, clock.now()]
        sealer.execute("DELETE FROM anchor_states")
        sealer.execute("INSERT INTO anchor_states (name, note, problem, seen_at) VALUES ('file', %s, %s, %s)", values)


def complete(settings: Settings) -> tuple[Person, Person]:
    """Make the first lines green, and return the two administrators."""
    settings.SETUP_FIRST = True
    first, second = admin("ada"), admin("bea")
    company_sign_in(settings, first)
    anchored()
    return first, second
