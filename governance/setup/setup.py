"""Actions of the set-up: test one line, attest a backup, trust the company's issuer, invite colleagues.

A test's result is kept, one row a line; all else that the page shows is read where it is (`readiness`, `milestones`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Checkpoint
from entitlements.errors import DomainError
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.setup.models import Invitation, SetupCheck

from . import first_admin, milestones, readiness, trials
from .readiness import Progress, State

type Line = SetupCheck.Line
_Line: Final = SetupCheck.Line
BACKUP_IS_OLD: Final = timedelta(days=92)
"""After a quarter without an attestation, a backup no longer counts."""
REPORT_IS_OLD: Final = timedelta(days=8)
"""Where a program reports backups, or none was made yet, one is due each week."""


class NotADemo(DomainError):
    """Only a demo can skip the set-up. Set DEMO, or complete the set-up."""

    code, status = "not_a_demo", HTTPStatus.CONFLICT


class CanSignIn(DomainError):
    """The person can already sign in; an invitation would set a new password."""

    code, status = "person_can_sign_in", HTTPStatus.CONFLICT


class BackupNotYet(DomainError):
    """The day of a backup cannot be in the future or more than a quarter ago. Enter the day on which it was made."""

    code, status = "backup_date_refused", HTTPStatus.UNPROCESSABLE_ENTITY


class NotTested(DomainError):
    """The company's sign-in cannot be trusted before a test has passed. Test it first."""

    code, status = "sign_in_not_tested", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class _TestResult:
    """The result of a test: whether it passed, a sentence, and what was tested."""

    passed: bool
    sentence: str
    subject: str = ""


def run_test(line: Line, *, by: Person) -> SetupCheck:
    """Try one line for real, and keep what came of it. What is outside is tried before the transaction begins."""
    subject = trials.SUBJECTS.get(line, str)()
    try:
        result = _TestResult(True, trials.TESTS[line](by), subject)  # noqa: FBT003 - named by its field
    except trials.Failed as problem:
        result = _TestResult(False, str(problem), subject)  # noqa: FBT003 - as above
    return _keep(line, result, by=by)


@transaction.atomic
def _keep(line: Line, result: _TestResult, *, by: Person) -> SetupCheck:
    before = SetupCheck.objects.select_for_update().filter(line=line).first()
    lasting = before is not None and before.passed and before.subject == result.subject
    now = clock.now()
    since = (before.since if before and lasting else now) if result.passed else None
    values = {"passed": result.passed, "sentence": result.sentence[:500], "subject": result.subject[:300]}
    kept, _made = SetupCheck.objects.update_or_create(
        line=line, defaults={**values, "at": now, "since": since, "by": by}
    )
    log.record(
        Action.SETUP_TESTED,
        about=[f"setup:{line.value}"],
        by=by.principal,
        outcome="success" if result.passed else "failure",
        detail={"line": line.value, "sentence": result.sentence[:500], "of": result.subject[:300]},
    )
    return kept


@transaction.atomic
def attest_backup(made_at: datetime, *, by: Person, where: str) -> SetupCheck:
    """Say that a backup was made then and is kept there. Raises BackupNotYet."""
    now = clock.now()
    if not now - BACKUP_IS_OLD < made_at <= now:
        raise BackupNotYet
    return _keep_backup(made_at, where, by=by)


@transaction.atomic
def report_backup(where: str) -> SetupCheck:
    """Record what a program reports: a backup was made now and is kept there."""
    return _keep_backup(clock.now(), where, by=None)


def _keep_backup(made_at: datetime, where: str, *, by: Person | None) -> SetupCheck:
    values = {"passed": True, "sentence": where[:500], "subject": made_at.isoformat(), "at": clock.now()}
    kept, _made = SetupCheck.objects.update_or_create(
        line=_Line.BACKUP, defaults={**values, "since": made_at, "by": by}
    )
    action, actor = (Action.SETUP_BACKUP_ATTESTED, by.principal) if by else (Action.BACKUP_MADE, SYSTEM)
    detail = {"made_at": made_at.isoformat(), "where": where[:500]}
    log.record(action, about=["setup:backup"], by=actor, detail=detail)
    return kept


@transaction.atomic
def report_failed_backup(problem: str) -> None:
    """Record that a backup failed. The last good one still counts, until it is too old."""
    detail = {"problem": problem[:500]}
    log.record(Action.BACKUP_FAILED, about=["setup:backup"], by=SYSTEM, outcome="failure", detail=detail)


@transaction.atomic
def declare_demo(*, by: Principal) -> None:
    """Take the set-up of a demo as done: the one way round it, and of no effect without DEMO. Raises NotADemo."""
    if not settings.DEMO:
        raise NotADemo
    now = clock.now()
    values = {"passed": True, "at": now, "since": now}
    _row, created = SetupCheck.objects.get_or_create(line=_Line.DEMO, defaults=values)
    if created:
        log.record(Action.SETUP_DEMO_DECLARED, about=["setup:demo"], by=by)


def trust_company(*, by: Person) -> TrustedIssuer:
    """Accept what the company's tested issuer signs of people. Raises NotTested, and what trust.begin raises."""
    tested = readiness.last_test(_Line.SIGN_IN)
    if not settings.OIDC_ISSUER or tested is None or not tested.passed or tested.subject != settings.OIDC_ISSUER:
        raise NotTested
    try:
        document, algorithms = trials.discover(settings.OIDC_ISSUER)
    except trials.Failed as problem:
        raise NotTested(str(problem)) from problem
    purpose, uri = TrustedIssuer.Purpose.IDENTITY, str(document["jwks_uri"])
    return trust.begin(settings.OIDC_ISSUER, purpose=purpose, jwks_uri=uri, algorithms=algorithms, by=by.principal)


@transaction.atomic
def invite(email: str, roles: Sequence[str], *, by: Person, reason: str) -> tuple[Person, str]:
    """Let a colleague in: these roles, and a link of 15 minutes for a password and a second factor.

    Only for a person who cannot sign in yet: a link for any other person would take over their account. Returns the
    person and the link's secret part. Raises CanSignIn, LoginTaken, UnknownRole.
    """
    known = Person.objects.filter(email__iexact=email).order_by("pk").first()
    if known is not None and (known.has_usable_password() or not _only_invited(known)):
        raise CanSignIn
    person = known or first_admin.register(email, by=by.principal)
    for role in roles:
        people.assign_role(person, role, by=by.principal, reason=reason)
    return person, first_admin.make_link(person, by=by.principal, reason=reason)


def _only_invited(person: Person) -> bool:
    """Whether a person was invited and never signed in. Any other account is already in use."""
    invited = Invitation.objects.filter(person=person)
    return person.is_active and invited.exists() and not invited.exclude(used_at=None).exists()


def states() -> list[State]:
    """Return how far each line is, in the order of the page."""
    basics = [*readiness.needed(), mail(), backup()]
    facts = [milestones.system(), milestones.agent(), milestones.client(), milestones.call(), milestones.stop()]
    return [*basics, *(_with_test(state) for state in facts)]


def _with_test(state: State) -> State:
    """Let a test that failed say so, although the row or the event is there."""
    tested = readiness.last_test(state.line)
    if state.is_green and tested is not None and not tested.passed:
        return replace(state, word=Progress.FAILED, sentence=tested.sentence, since=None)
    return state


def mail() -> State:
    """Return whether a test message went out through the mail server that is configured now."""
    server, tested = trials.mail_server(), readiness.last_test(_Line.MAIL)
    if not server:
        return State(_Line.MAIL, Progress.NOT_YET, _("MAIL_URL is not set: no mail is sent."))
    if tested is None or tested.subject != server:
        return State(_Line.MAIL, Progress.NOT_YET, _("%(server)s was not tried yet.") % {"server": server})
    if not tested.passed:
        return State(_Line.MAIL, Progress.FAILED, tested.sentence)
    return State(_Line.MAIL, Progress.GREEN, tested.sentence, tested.since)


def backup() -> State:
    """Return whether a person attested a backup within the last quarter, or a program reported one in time."""
    known = readiness.last_test(_Line.BACKUP)
    now = clock.now()
    if known is None or known.since is None:
        is_late = Checkpoint.objects.filter(signed_at__lte=now - REPORT_IS_OLD).exists()
        word = Progress.FAILED if is_late else Progress.NOT_YET
        return State(_Line.BACKUP, word, _("No backup has been attested or reported yet."))
    if known.since <= now - (BACKUP_IS_OLD if known.by else REPORT_IS_OLD):
        late = _("The last attested backup is older than a quarter.")
        return State(_Line.BACKUP, Progress.FAILED, late if known.by else _("No backup was reported for eight days."))
    said = _("%(name)s says that it is kept: %(where)s") if known.by else _("The last one reported is kept: %(where)s")
    sentence = said % {"name": known.by.name if known.by else "", "where": known.sentence}
    return State(_Line.BACKUP, Progress.GREEN, sentence, known.since)


TESTABLE: Final = frozenset(line.value for line in trials.TESTS)
INVITABLE: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY, Role.AUDITOR)
