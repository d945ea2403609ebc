"""Systems that are started by a command: registered, and asked for their tools by a child that is started for it.

Where discovery runs, in a worker or with the API, the child runs there and ends with the list: a node of the gateway
may not write what was found, and a worker does not share its children. The sandbox is the same.
"""

from __future__ import annotations

from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any

from django.db import transaction

from audit.context import Principal
from entitlements.catalog import systems
from entitlements.catalog.models import System
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.stdio import children
from entitlements.stdio.command import Command
from entitlements.stdio_commands import terms
from entitlements.stdio_commands.models import StdioCommand, StdioSystem
from entitlements.upstream import egress, upstream


class CommandUnknown(DomainError):
    """No command of this name is in force. Propose it, and have another person confirm it."""

    code, status = "stdio_command_unknown", HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic
def register(
    slug: str,
    *,
    name: str,
    owner: Person | None,
    command: str,
    by: Principal,
    args: list[str] | None = None,
    shared: bool | None = None,
    **options: Any,  # noqa: ANN401 - as each takes them
) -> System:
    """Register a system that is started by a command of the allow-list. `options`: as of `register_system`.

    `shared`: whether all callers share one process, which the command has to allow; None does as the command says.
    Raises CommandUnknown, CommandMalformed, and as `systems.add_system`.
    """
    arguments = args or []
    terms.check_arguments(arguments)
    locks.shared([(Lock.REQUEST, f"stdio-command:{command}")])
    allowed = StdioCommand.objects.filter(name=command, state=StdioCommand.State.IN_FORCE).first()
    if allowed is None:
        raise CommandUnknown(command=command)
    if shared and not allowed.terms["shared"]:
        raise terms.CommandMalformed("This command gives each agent and person a process of their own.", field="shared")
    system = systems.add_system(
        slug,
        name=name,
        kind=System.Kind.STDIO,
        owner=owner,
        upstream_url=f"{systems.STDIO_SCHEME}{command}",
        by=by,
        detail={"command": command, "args": arguments, "shared": allowed.terms["shared"] and shared is not False},
        **options,
    )
    StdioSystem.objects.create(
        system=system, command=command, arguments=arguments, is_shared=shared, terms=allowed.terms
    )
    return system


def discover(system: System) -> Coroutine[Any, Any, list[dict[str, Any]]]:
    """List a system's tools, wherever it is, as `upstream.discover` does. Raises as that, and Unreachable."""
    if system.kind != System.Kind.STDIO:
        return upstream.discover(system)
    started = StdioSystem.objects.filter(system=system).first()
    if started is None or started.terms is None:
        raise egress.Unreachable("The command of this system is not in force.")
    return children.tools(Command.of_terms(started.command, started.terms, started.arguments))
