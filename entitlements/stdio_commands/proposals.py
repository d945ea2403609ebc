"""Actions on commands: one person proposes, another confirms; ending takes one, and acts at once."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from audit.actions import Action
from entitlements.definition_watch import discovery_schedule
from entitlements.errors import DomainError, Forbidden
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role
from entitlements.proposals.in_force import PROPOSERS, LastingKind, State, may
from entitlements.stdio import package
from entitlements.stdio_commands import terms
from entitlements.stdio_commands.models import StdioCommand, StdioSystem


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

    The files are read before the transaction. Raises CommandMalformed, FilesRefused, SandboxForAdmins, and as
    LastingKind.propose.
    """
    may(by, reason, PROPOSERS)
    row = StdioCommand(name=name, terms=terms.whole(given))
    _check_accepted(row, by)
    row.terms["digest"] = row.terms.get("digest") or _digest(row.terms["folder"])
    return KIND.propose(row, by=by, reason=reason)


def _give_to_systems(row: StdioCommand, _by: Person) -> None:
    """Give the systems of a command its terms, and tell every node."""
    agreed = row.terms if row.state == State.IN_FORCE else None
    for started in StdioSystem.objects.select_related("system").filter(command=row.name).order_by("pk"):
        locks.exclusive((Lock.SYSTEM, started.system_id))
        started.terms = agreed
        started.save(update_fields=["terms"])
        changes.note(subjects.system(started.system_id))
        discovery_schedule.schedule_now(started.system)


def _check_accepted(row: StdioCommand, by: Person) -> None:
    """Running without a layer of the sandbox is accepted by two platform admins, the proposer and the confirmer."""
    if row.terms["without"] and not by.has_role(Role.ADMIN):
        raise SandboxForAdmins


def _digest(folder: str) -> str:
    try:
        return package.digest(folder)
    except package.PackageRefused as why:
        raise FilesRefused(str(why)) from why


def _detail(row: StdioCommand) -> dict[str, Any]:
    return {"proposed_by": row.proposed_by.login, **{name: row.terms[name] for name in terms.TERMS if name != "env"}}


KIND: Final = LastingKind(
    name="stdio_command",
    noun="command",
    model=StdioCommand,
    subject=("name",),
    events={
        State.PROPOSED: Action.STDIO_COMMAND_PROPOSED,
        State.IN_FORCE: Action.STDIO_COMMAND_ALLOWED,
        State.WITHDRAWN: Action.STDIO_COMMAND_WITHDRAWN,
        State.ENDED: Action.STDIO_COMMAND_ENDED,
    },
    hold=lambda row: locks.exclusive((Lock.REQUEST, f"stdio-command:{row.name}")),
    about=lambda row: [f"stdio_command:{row.name}"],
    detail=_detail,
    terms=lambda row: row.terms,
    check=_check_accepted,
    not_confirmer=AdminRoleNeeded,
    follow=_give_to_systems,
)
