"""Without any single guard of the ways to a token, a cell of a matrix fails: no check is there twice or for nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.db import transaction

from tests.edge import Browser
from tests.entitlements.edge import guards, test_credential_matrix, test_matrix
from tests.entitlements.edge.guards import Guard
from tests.entitlements.edge.worlds import World

pytestmark = pytest.mark.soak

EDGE: Final = "entitlements.edge"
MODULES: Final = (
    *(f"{EDGE}.grant_types.{name}" for name in ("exchange", "jwt_bearer", "id_token", "authorization_code")),
    *(f"{EDGE}.sign_in.{name}" for name in ("code", "refresh", "id_token_refresh", "subject_tokens")),
    *(f"{EDGE}.client_authentication", f"{EDGE}.agents", f"{EDGE}.issue"),
)
POLICY: Final = {"may_issue", "_blocking_code", "_blocking_session_code", "_minted"}
GUARDS: Final = [
    *(guard for guard in guards.of("entitlements.decisions.policy") if guard.function in POLICY),
    *(guard for name in MODULES for guard in guards.of(name)),
]
ELSEWHERE: Final[dict[str, str]] = {}
"""Guards of what a request says, not of who it is about: the module of tests that fails without each."""

type Cell = Callable[[World], None]


def cells() -> Iterator[Cell]:
    """Return the cells of both matrices."""
    for path, spoil in test_matrix.CASES:
        yield lambda world, at=path, by=spoil: test_matrix.test_what_is_in_the_way_is_refused_on_every_path(
            world, at, by
        )
    for path, spoil in test_credential_matrix.CASES:
        yield (
            lambda world, at=path, by=spoil: (
                test_credential_matrix.test_a_credential_that_ended_is_refused_with_one_event(world, at, by)
            )
        )
    for path in test_matrix.PATHS:
        yield (
            lambda world, at=path: (
                test_matrix.test_without_anything_in_the_way_each_path_issues_one_token_and_one_event(world, at)
            )
        )


def fails(cell: Cell, world: World) -> bool:
    """Whether a cell fails, in a world that is put back after it."""
    try:
        with transaction.atomic():
            cell(_afresh(world))
            transaction.set_rollback(True)
    except (AssertionError, Exception):  # noqa: BLE001 - whatever breaks, the cell noticed
        return True
    return False


def _afresh(world: World) -> World:
    kept: dict[str, Any] = {
        name: type(row).objects.get(pk=row.pk)  # type: ignore[attr-defined]  # models all
        for name, row in (
            (name, getattr(world, name)) for name in ("alice", "agent", "client", "system", "grant", "issuer")
        )
    }
    return dataclasses.replace(world, http=Browser(enforce_csrf_checks=True), **kept)


def test_with_all_guards_no_cell_fails(world: World) -> None:
    assert not [number for number, cell in enumerate(cells()) if fails(cell, world)]


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_a_cell_fails_without_a_guard(world: World, guard: Guard) -> None:
    with guards.without(guard):
        assert any(fails(cell, world) for cell in cells()) or str(guard) in ELSEWHERE
