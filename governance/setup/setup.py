"""Actions of the set-up: test one line, attest a backup, trust the company's issuer, invite colleagues.

A test's result is kept, one row a line; all else that the page shows is read where it is (`readiness`, `milestones`).
"""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils.translation import gettext as _

from audit import chain, clock, log
from audit.actions import Action
from audit.context import Principal
from audit.models import Leaf
from entitlements import strict
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.clients.models import Client
from entitlements.definitions import definitions
from entitlements.errors import DomainError
from entitlements.keys import jws, public_keys
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.revocation import record_keys, revocation
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.upstream import egress, upstream
from governance.setup.models import Invitation, SetupCheck

from . import first_admin, milestones, readiness
from .readiness import Progress, State

type Line = SetupCheck.Line
_Line: Final = SetupCheck.Line
BACKUP_IS_OLD: Final = timedelta(days=92)
"""After a quarter without an attestation, a backup no longer counts."""


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


class _Failed(Exception):
    """A test did not pass; the message is the sentence for the page."""


def run_test(line: Line, *, by: Person) -> SetupCheck:
    """Try one line for real, and keep what came of it. What is outside is tried before the transaction begins."""
    subject = _SUBJECTS.get(line, str)()
    try:
        result = _TestResult(True, _TESTS[line](by), subject)  # noqa: FBT003 - named by its field
    except _Failed as problem:
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
    values = {"passed": True, "sentence": where[:500], "subject": made_at.isoformat(), "at": now, "since": made_at}
    kept, _made = SetupCheck.objects.update_or_create(line=_Line.BACKUP, defaults={**values, "by": by})
    detail = {"made_at": made_at.isoformat(), "where": where[:500]}
    log.record(Action.SETUP_BACKUP_ATTESTED, about=["setup:backup"], by=by.principal, detail=detail)
    return kept


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
        document, algorithms = _discovered(settings.OIDC_ISSUER)
    except _Failed as problem:
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
    server, tested = _mail_server(), readiness.last_test(_Line.MAIL)
    if not server:
        return State(_Line.MAIL, Progress.NOT_YET, _("MAIL_URL is not set: no mail is sent."))
    if tested is None or tested.subject != server:
        return State(_Line.MAIL, Progress.NOT_YET, _("%(server)s was not tried yet.") % {"server": server})
    if not tested.passed:
        return State(_Line.MAIL, Progress.FAILED, tested.sentence)
    return State(_Line.MAIL, Progress.GREEN, tested.sentence, tested.since)


def backup() -> State:
    """Return whether a person attested a backup within the last quarter."""
    attested = readiness.last_test(_Line.BACKUP)
    if attested is None or attested.since is None:
        return State(_Line.BACKUP, Progress.NOT_YET, _("No backup has been attested yet."))
    if attested.since <= clock.now() - BACKUP_IS_OLD:
        return State(_Line.BACKUP, Progress.FAILED, _("The last attested backup is older than a quarter."))
    sentence = _("%(name)s says that it is kept: %(where)s") % {
        "name": attested.by.name if attested.by else "",
        "where": attested.sentence,
    }
    return State(_Line.BACKUP, Progress.GREEN, sentence, attested.since)


# ------------------------------------------------------------------------------------------------------ the tests


def _mail_server() -> str:
    options = settings.MAILERS.get("default", {}).get("OPTIONS", {})
    return f"{options['host']}:{options['port']}" if options.get("host") else ""


def _try_mail(by: Person) -> str:
    if not _mail_server():
        raise _Failed(_("MAIL_URL is not set: no mail is sent."))
    if not by.email:
        raise _Failed(_("You have no e-mail address that a test message could go to."))
    text = _("Mandate at %(url)s can send mail. Nothing needs to be done.") % {"url": settings.CONSOLE_URL}
    message = EmailMessage(_("Mandate: test of mail"), text, to=[by.email])
    try:
        message.send(using="default")
    except (smtplib.SMTPException, OSError) as problem:
        raise _Failed(_("It was not taken: %(problem)s") % {"problem": problem}) from problem
    return _("A message to %(address)s was handed in.") % {"address": by.email}


def _discovered(issuer: str) -> tuple[Mapping[str, Any], list[str]]:
    """Fetch an issuer's metadata (OpenID Connect Discovery 1.0) and its keys. Raises _Failed."""
    try:
        document = egress.read_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(document, dict) or document.get("issuer") != issuer:
            raise _Failed(_("It says that its name is another one than OIDC_ISSUER."))
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            egress.check_url(str(document.get(name, "")))
        keys = public_keys.read_set(egress.read_json(document["jwks_uri"]))
    except (egress.ForbiddenAddress, egress.Unreachable, public_keys.BadKey, strict.NotStrictJson) as problem:
        raise _Failed(_("%(issuer)s: %(problem)s") % {"issuer": issuer, "problem": problem}) from problem
    offered = document.get("id_token_signing_alg_values_supported")
    algorithms = sorted(key for key in {key.algorithm for key in keys} if not offered or key in offered)
    if not algorithms:
        raise _Failed(_("None of its keys signs in a way that we accept."))
    return document, algorithms


def _try_sign_in(_by: Person) -> str:
    if not settings.OIDC_ISSUER:
        raise _Failed(_("OIDC_ISSUER is not set."))
    _document, algorithms = _discovered(settings.OIDC_ISSUER)
    return _("It answers, and its keys can be read (%(how)s).") % {"how": ", ".join(algorithms)}


def _try_state(read: Callable[[], State]) -> Callable[[Person], str]:
    """Make a test of a state that is read each time."""

    def look(_by: Person) -> str:
        state = read()
        if not state.is_green:
            raise _Failed(state.sentence)
        return state.sentence

    return look


def _try_system(_by: Person) -> str:
    system = milestones.first_system()
    if system is None:
        raise _Failed(_("No system is registered yet."))
    try:
        offered = asyncio.run(upstream.discover(system))
    except DomainError as problem:
        raise _Failed(f"{system.name}: {problem}") from problem
    now = dict(filter(None, map(_named, offered)))
    approved = Tool.objects.filter(system=system, state=Tool.State.APPROVED).select_related("approved")
    changed = [tool.name for tool in approved if tool.approved and now.get(tool.name) != tool.approved.sha256]
    if changed:
        values = {"name": system.name, "tools": ", ".join(changed)}
        raise _Failed(_("%(name)s no longer offers what was approved: %(tools)s.") % values)
    return _("%(name)s answers, and offers what was approved.") % {"name": system.name}


def _named(offered: object) -> tuple[str, str] | None:
    """Return a tool's name and the hash of its definition; nothing for what cannot be read."""
    try:
        raw = definitions.check(offered)
    except definitions.DefinitionMalformed:
        return None
    return str(raw["name"]), definitions.digest(raw)


def _try_agent(_by: Person) -> str:
    agent = milestones.first_agent()
    if agent is None:
        raise _Failed(_("No agent is registered yet."))
    lacks = []
    if agent.status != Agent.Status.ACTIVE:
        lacks.append(_("it is not in use"))
    if not agent.sponsor.is_active:
        lacks.append(_("its sponsor has left"))
    if agent.owner is None or not agent.owner.is_active:
        lacks.append(_("it has no technical owner who is here"))
    if not agent.clients.filter(status=Client.Status.ACTIVE).exists():
        lacks.append(_("it has no client"))
    if lacks:
        raise _Failed(f"{agent.name}: {', '.join(lacks)}.")
    return _("%(name)s, its client, sponsor and owner are all in place.") % {"name": agent.name}


def _try_call(_by: Person) -> str:
    event = milestones.first_event(Action.CALL_ALLOWED)
    if event is None:
        raise _Failed(_("No call was allowed yet."))
    leaf = Leaf.objects.filter(producer=event.producer, sequence=event.sequence).first()
    if leaf is None or bytes(leaf.hash) != chain.leaf_hash(event.body.encode()):
        raise _Failed(_("The first allowed call is not sealed in the record."))
    return _("The first allowed call is event %(n)d of the sealed record.") % {"n": leaf.index}


def _try_stop(_by: Person) -> str:
    revoked = milestones.first_stop()
    if revoked is None:
        raise _Failed(_("Nothing was stopped after an allowed call yet."))
    try:
        claims, standing = record_keys.check(
            revoked.receipt, revocation.RECEIPT_TYP, lambda: revocation.settled_at(revoked)
        )
    except jws.BadToken as problem:
        raise _Failed(_("The receipt is not signed by us.")) from problem
    if standing is record_keys.Standing.DOUBTFUL:
        raise _Failed(_("The key of the receipt is denied, and may have been in other hands when it signed."))
    if claims.get("id") != str(revoked.pk) or claims.get("missing"):
        raise _Failed(_("The receipt is not of this stop, or a node is missing in it."))
    slowest = max(acknowledgement["after_ms"] for acknowledgement in revoked.acknowledged)
    return _("The receipt is signed, and the slowest node obeyed after %(ms)d ms.") % {"ms": slowest}


_TESTS: Final[Mapping[Line, Callable[[Person], str]]] = {
    _Line.SIGN_IN: _try_sign_in,
    _Line.SECOND_ADMIN: _try_state(readiness.second_admin),
    _Line.MAIL: _try_mail,
    _Line.ANCHOR: _try_state(readiness.anchor),
    _Line.SYSTEM: _try_system,
    _Line.AGENT: _try_agent,
    _Line.CLIENT: _try_state(milestones.client),
    _Line.CALL: _try_call,
    _Line.STOP: _try_stop,
}
_SUBJECTS: Final[Mapping[Line, Callable[[], str]]] = {
    _Line.SIGN_IN: lambda: settings.OIDC_ISSUER,
    _Line.MAIL: _mail_server,
}
TESTABLE: Final = frozenset(line.value for line in _TESTS)
INVITABLE: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY, Role.AUDITOR)
