"""Deny by default: an address and method without a row in the matrix is closed to everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from entitlements.access import relations, role_reach
from entitlements.access.caller import Caller
from entitlements.errors import Forbidden
from entitlements.permissions.matrix import Matrix, Row

if TYPE_CHECKING:
    from rest_framework.views import APIView


def row_of(matrix: Matrix, name: str, method: str) -> Row | None:
    """Return the row of an address and method; HEAD is a GET without its body."""
    return matrix.get((name, "GET" if method == "HEAD" else method))


class ByMatrix(BasePermission):
    """Asks the view's matrix whether the caller may come in at all; `permit` asks again about the object."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the row lets this kind of caller in."""
        match = request.resolver_match
        row = row_of(getattr(view, "matrix", {}), match.view_name if match else "", str(request.method))
        if row is None:
            return False
        if row.public:
            return True
        caller = request.auth
        if not isinstance(caller, Caller):
            return False
        return lets_in(row, caller)


def lets_in(row: Row, caller: Caller) -> bool:
    """Whether a row lets a caller in at all, before anything is known of the object."""
    if caller.scopes is not None:
        opened = bool(row.scope) and not caller.scopes.isdisjoint({row.scope, row.finer or row.scope})
        own = caller.agent is not None and not row.shut_to_agents and (row.anybody or bool(row.related))
        return opened and (caller.is_script or own)
    limited = row.limitable and any(role in row.roles for role, _limit in caller.limited)
    return row.anybody or bool(row.related) or bool(row.roles & caller.roles) or limited


def holds(caller: Caller, matrix: Matrix, scope: str) -> bool:
    """Whether a caller may do, whatever the object, all that a script may with this scope."""
    opened = [row for row in matrix.values() if row.scope and scope in {row.scope, row.finer}]
    if caller.scopes is not None:
        return scope in caller.scopes or (bool(opened) and all(lets_in(row, caller) for row in opened))
    return all(row.anybody or row.roles & caller.roles for row in opened)


def permit(caller: Caller, row: Row, thing: object) -> None:
    """Check the row against one object. Raises Forbidden.

    A script may do what its scope says. A person needs one of the roles or of the relations; a role with a limit counts
    where the row is limitable and the object within the limit. An agent acts on what is its own.
    """
    if caller.is_script or row.roles & caller.roles:
        return
    if row.limitable and caller.limited and role_reach.covers(caller.reach(*row.roles), thing):
        return
    held = relations.of(caller, thing)
    wanted = {"itself"} if caller.agent is not None else row.related
    if not row.anybody and not held & wanted:
        raise Forbidden
    if caller.agent is not None and "itself" not in held:
        raise Forbidden
