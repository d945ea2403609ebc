"""Actions on commands: one person proposes, another confirms; ending takes one, and acts at once."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.conflicts import independence
from entitlements.definition_watch import discovery_schedule
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role
from entitlements.stdio import package
from entitlements.stdio_commands import terms
from entitlements.stdio_commands.models import StdioCommand, StdioSystem

PROPOSE: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY)
CONFIRM: Final = (Role.ADMIN, Role.SECURITY)
"""A command runs on our own machines, so those confirm who answer for the installation or its security."""
END: Final = (*PROPOSE, Role.RESPONDER)
_State = StdioCommand.State


class AlreadyProposed(DomainError):
    """A proposal of this command waits already. Confirm or withdraw that first."""

    code, status = "stdio_command_proposed_already", HTTPStatus.CONFLICT


class NothingChanges(DomainError):
    """The command is in force with exactly these terms already."""

    code, status = "stdio_command_unchanged", HTTPStatus.CONFLICT


class ProposalOver(DomainError):
    """The command is not in the state that this needs: it was confirmed, replaced, withdrawn or ended before."""

    code, status = "stdio_command_over", HTTPStatus.CONFLICT


class ProposedByOwnAccount(Forbidden):
    """You proposed this command, so another person confirms it."""

    code = "stdio_command_proposed_by_own_account"


class AdminRoleNeeded(Forbidden):
    """You cannot confirm this command: a platform admin or security approver confirms it."""

    code = "stdio_command_needs_admin_role"


class SandboxForAdmins(DomainError):
    """A command that may run without a part of its sandbox is proposed and confirmed by two platform admins."""

    code, status = "stdio_command_sandbox_needs_admins", HTTPStatus.UNPROCESSABLE_ENTITY


class FilesRefused(DomainError):
    """The files of the command cannot be pinned."""

    code, status = "stdio_command_files_refused", HTTPStatus.UNPROCESSABLE_ENTITY


def propose(name: str, *, by: Person, reason: str, **given: Any) -> StdioCommand:  # noqa: ANN401 - the terms
    """Propose a command, or other terms for one in force. Without a digest, that of the files here is taken.

    The files are read before the transaction. Running without a layer of the sandbox is for two administrators.
    Raises Forbidden, ReasonRequired, CommandMalformed, FilesRefused, SandboxForAdmins, NothingChanges, AlreadyProposed.
    """
    _check(by, reason, PROPOSE)
    agreed = terms.whole(given)
    _check_accepted(agreed, by)
    agreed["digest"] = agreed.get("digest") or _digest(agreed["folder"])
    return _write(name, agreed, by=by, reason=reason)


@transaction.atomic
def _write(name: str, agreed: dict[str, Any], *, by: Person, reason: str) -> StdioCommand:
    locks.exclusive((Lock.REQUEST, _lock_name(name)))
    known = StdioCommand.objects.filter(name=name, state=_State.IN_FORCE).first()
    if known is not None and known.terms == agreed:
        raise NothingChanges
    try:
        with transaction.atomic():
            row = StdioCommand.objects.create(
                name=name, terms=agreed, reason=reason, proposed_by=by, proposed_at=clock.now()
            )
    except IntegrityError as error:
        raise AlreadyProposed from error
    _record(Action.STDIO_COMMAND_PROPOSED, row, by, reason)
    return row


@transaction.atomic
def confirm(key: UUID, *, by: Person) -> StdioCommand:
    """Put a command in force, as a second person: systems of its name are started by it from now on.

    Raises NotFound, ProposalOver, AdminRoleNeeded, SandboxForAdmins, ProposedByOwnAccount.
    """
    row = _held(key, _State.PROPOSED)
    if not by.has_role(*CONFIRM):
        raise AdminRoleNeeded
    _check_accepted(row.terms, by)
    lapse = partial(withdraw, key)
    independence.check_second(
        row.proposed_by, by, still_may=lambda who: who.has_role(*PROPOSE), own=ProposedByOwnAccount, lapse=lapse
    )
    now = clock.now()
    before = StdioCommand.objects.filter(name=row.name, state=_State.IN_FORCE)
    before.update(state=_State.REPLACED, ended_at=now, end_reason=f"Replaced by the proposal {row.pk}.")
    row.state, row.confirmed_by, row.confirmed_at = _State.IN_FORCE, by, now
    row.save(update_fields=["state", "confirmed_by", "confirmed_at"])
    _record(Action.STDIO_COMMAND_ALLOWED, row, by, row.reason)
    _give_to_systems(row.name, row.terms)
    return row


@transaction.atomic
def withdraw(key: UUID, *, by: Person, reason: str) -> StdioCommand:
    """Drop a proposal. Raises Forbidden, ReasonRequired, NotFound, ProposalOver."""
    _check(by, reason, PROPOSE)
    row = _held(key, _State.PROPOSED)
    _end(row, _State.WITHDRAWN, reason)
    _record(Action.STDIO_COMMAND_WITHDRAWN, row, by, reason)
    return row


@transaction.atomic
def end(key: UUID, *, by: Person, reason: str) -> StdioCommand:
    """Allow a command no longer: one person suffices, and no node starts it from now on.

    Raises Forbidden, ReasonRequired, NotFound, ProposalOver.
    """
    _check(by, reason, END)
    row = _held(key, _State.IN_FORCE)
    _end(row, _State.ENDED, reason)
    _record(Action.STDIO_COMMAND_ENDED, row, by, reason)
    _give_to_systems(row.name, None)
    return row


def about(row: StdioCommand) -> list[str]:
    """Return the links by which the record of a command is found again."""
    return [f"stdio_command:{row.name}"]


def _give_to_systems(name: str, agreed: dict[str, Any] | None) -> None:
    """Give the systems of a command its terms, and tell every node."""
    for started in StdioSystem.objects.select_related("system").filter(command=name).order_by("pk"):
        locks.exclusive((Lock.SYSTEM, started.system_id))
        started.terms = agreed
        started.save(update_fields=["terms"])
        changes.note(subjects.system(started.system_id))
        discovery_schedule.schedule_now(started.system)


def _check(by: Person, reason: str, roles: tuple[str, ...]) -> None:
    if not by.has_role(*roles):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired


def _check_accepted(agreed: dict[str, Any], by: Person) -> None:
    """Running without a layer of the sandbox is accepted by two platform admins, the proposer and the confirmer."""
    if agreed["without"] and not by.has_role(Role.ADMIN):
        raise SandboxForAdmins


def _digest(folder: str) -> str:
    try:
        return package.digest(folder)
    except package.PackageRefused as why:
        raise FilesRefused(str(why)) from why


def _lock_name(name: str) -> str:
    return f"stdio-command:{name}"


def _held(key: UUID, state: str) -> StdioCommand:
    seen = StdioCommand.objects.filter(pk=key).first()
    if seen is None:
        raise NotFound
    locks.exclusive((Lock.REQUEST, _lock_name(seen.name)))
    row = StdioCommand.objects.select_related("proposed_by").get(pk=key)
    if row.state != state:
        raise ProposalOver(state=row.state)
    return row


def _end(row: StdioCommand, state: str, reason: str) -> None:
    row.state, row.ended_at, row.end_reason = state, clock.now(), reason
    row.save(update_fields=["state", "ended_at", "end_reason"])


def _record(action: Action, row: StdioCommand, by: Person, reason: str) -> None:
    detail = {"proposed_by": row.proposed_by.login, **{name: row.terms[name] for name in terms.TERMS if name != "env"}}
    log.record(action, about=about(row), by=by.principal, reason=reason, detail=detail)
