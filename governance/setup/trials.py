"""The tests of the set-up: each line is tried for real, and what is outside is asked."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

from audit import chain
from audit.actions import Action
from audit.models import Leaf
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.clients.models import Client
from entitlements.definitions import definitions, offers
from entitlements.errors import DomainError
from entitlements.keys import jws
from entitlements.people.models import Person
from entitlements.revocation import record_keys, revocation
from entitlements.stdio_commands import systems as stdio_systems
from entitlements.trusted_issuers import discovery
from entitlements.upstream import egress
from governance.setup.models import SetupCheck

from . import milestones, readiness
from .readiness import State

type Line = SetupCheck.Line
_Line: Final = SetupCheck.Line


class Failed(Exception):
    """A test did not pass; the message is the sentence for the page."""


def mail_server() -> str:
    """Return the mail server that is configured; empty without one."""
    options = settings.MAILERS.get("default", {}).get("OPTIONS", {})
    return f"{options['host']}:{options['port']}" if options.get("host") else ""


def send(message: EmailMessage) -> None:
    """Hand a message in while a person waits. Raises SMTPException, OSError, and what `egress.asking` raises."""
    with egress.asking(mail_server().partition(":")[0]):
        message.send(using="default")


def _try_mail(by: Person) -> str:
    if not mail_server():
        raise Failed(_("MAIL_URL is not set: no mail is sent."))
    if not by.email:
        raise Failed(_("You have no e-mail address that a test message could go to."))
    text = _("Mandate at %(url)s can send mail. Nothing needs to be done.") % {"url": settings.CONSOLE_URL}
    message = EmailMessage(_("Mandate: test of mail"), text, to=[by.email])
    try:
        send(message)
    except (smtplib.SMTPException, OSError) as problem:
        raise Failed(_("It was not taken: %(problem)s") % {"problem": problem}) from problem
    return _("A message to %(address)s was handed in.") % {"address": by.email}


def discover(issuer: str) -> tuple[Mapping[str, Any], list[str]]:
    """Fetch the metadata and the keys of an issuer at which people sign in. Raises Failed."""
    try:
        found = discovery.find(issuer, signs_people_in=True)
        for name in ("authorization_endpoint", "token_endpoint"):
            egress.check_url(str(found.document.get(name, "")))
    except discovery.IssuerNamedOtherwise as problem:
        raise Failed(_("It says that its name is another one than OIDC_ISSUER.")) from problem
    except (egress.ForbiddenAddress, discovery.IssuerNotDiscovered) as problem:
        raise Failed(_("%(issuer)s: %(problem)s") % {"issuer": issuer, "problem": problem}) from problem
    return found.document, list(found.algorithms)


def _try_sign_in(_by: Person) -> str:
    if not settings.OIDC_ISSUER:
        raise Failed(_("OIDC_ISSUER is not set."))
    _document, algorithms = discover(settings.OIDC_ISSUER)
    return _("It answers, and its keys can be read (%(how)s).") % {"how": ", ".join(algorithms)}


def _try_state(read: Callable[[], State]) -> Callable[[Person], str]:
    """Make a test of a state that is read each time."""

    def look(_by: Person) -> str:
        state = read()
        if not state.is_green:
            raise Failed(state.sentence)
        return state.sentence

    return look


def _try_system(_by: Person) -> str:
    system = milestones.first_system()
    if system is None:
        raise Failed(_("No system is registered yet."))
    try:
        offered = asyncio.run(stdio_systems.discover(system))
    except DomainError as problem:
        raise Failed(f"{system.name}: {problem}") from problem
    now = dict(filter(None, map(_named, offered)))
    approved = Tool.objects.filter(system=system, state=Tool.State.APPROVED).select_related("approved")
    changed = [tool.name for tool in approved if tool.approved and now.get(tool.name) != tool.approved.sha256]
    if changed:
        values = {"name": system.name, "tools": ", ".join(changed)}
        raise Failed(_("%(name)s no longer offers what was approved: %(tools)s.") % values)
    return _("%(name)s answers, and offers what was approved.") % {"name": system.name}


def _named(offered: object) -> tuple[str, str] | None:
    """Return a tool's name and the hash of its definition; nothing for what cannot be read."""
    try:
        raw = offers.check(offered)
    except definitions.DefinitionMalformed:
        return None
    return str(raw["name"]), definitions.digest(raw)


def _try_agent(_by: Person) -> str:
    agent = milestones.first_agent()
    if agent is None:
        raise Failed(_("No agent is registered yet."))
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
        raise Failed(f"{agent.name}: {', '.join(lacks)}.")
    return _("%(name)s, its client, sponsor and owner are all in place.") % {"name": agent.name}


def _try_call(_by: Person) -> str:
    event = milestones.first_event(Action.CALL_ALLOWED)
    if event is None:
        raise Failed(_("No call was allowed yet."))
    leaf = Leaf.objects.filter(producer=event.producer, sequence=event.sequence).first()
    if leaf is None or bytes(leaf.hash) != chain.leaf_hash(event.body.encode()):
        raise Failed(_("The first allowed call is not sealed in the audit log."))
    return _("The first allowed call is event %(n)d of the sealed record.") % {"n": leaf.index}


def _try_stop(_by: Person) -> str:
    revoked = milestones.first_stop()
    if revoked is None:
        raise Failed(_("Nothing was stopped after an allowed call yet."))
    try:
        claims, standing = record_keys.check(
            revoked.receipt, revocation.RECEIPT_TYP, lambda: revocation.settled_at(revoked)
        )
    except jws.BadToken as problem:
        raise Failed(_("The receipt is not signed by us.")) from problem
    if standing is record_keys.Standing.DOUBTFUL:
        raise Failed(_("The key of the receipt is denied, and may have been in other hands when it signed."))
    if claims.get("id") != str(revoked.pk) or claims.get("missing"):
        raise Failed(_("The receipt is not of this stop, or a node is missing in it."))
    slowest = max(acknowledgement["after_ms"] for acknowledgement in revoked.acknowledged)
    return _("The receipt is signed, and the slowest node obeyed after %(ms)d ms.") % {"ms": slowest}


TESTS: Final[Mapping[Line, Callable[[Person], str]]] = {
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
SUBJECTS: Final[Mapping[Line, Callable[[], str]]] = {
    _Line.SIGN_IN: lambda: settings.OIDC_ISSUER,
    _Line.MAIL: mail_server,
}
