"""The matrix against the live API: each role opens what its rows say of things that exist, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver

from entitlements.api.endpoints import Endpoint
from entitlements.people.models import Role
from entitlements.permissions.matrix import Row
from tests import make, parts
from tests.attacks import things
from tests.corpus import WITHOUT_ROLE, Corpus
from tests.entitlements.api import client as api
from tests.governance.console import addresses

pytestmark = pytest.mark.timeout(900)
METHODS = ("get", "post", "put", "patch", "delete")
PREFIX = "api/v1/"
IN_THE_BODY = {
    *("agents-suspend", "agents-retire", "tools-approve", "tools-disable", "entitlements", "grants-revoke"),
    *("catalogue-plan", "catalogue-apply", "post clients", "post workload-rules"),
}
"""What they are about is named in the body, and each is asked about as at its own address."""
NOTHING_SEALED = {"audit-checkpoint", "audit-proof", "campaign-pack"}
ROLES = [*(str(role) for role in Role), ""]


def _patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern, prefix + str(pattern.pattern))
        else:
            yield prefix + str(pattern.pattern), pattern


def _rows() -> Iterator[tuple[str, str, str, Row, str]]:
    """Yield (address as the schema writes it, name, method, row, module) of everything under /api/v1."""
    for address, pattern in _patterns(get_resolver()):
        view = getattr(pattern.callback, "cls", None)
        if not address.startswith(PREFIX) or view is None or not issubclass(view, Endpoint):
            continue
        schema = "/" + addresses.PART.sub(r"{\1}", address)
        for method in METHODS:
            row = view.matrix.get((pattern.name or "", method.upper()))
            if hasattr(view, method) and row is not None and not row.public:
                yield schema, pattern.name or "", method, row, view.__module__


def _asked(client: Any, method: str, address: str) -> Any:  # noqa: ANN401 - a response
    """Ask, and take back whatever came of it."""
    before = transaction.savepoint_create()
    answer = getattr(client, method)(address, {})
    transaction.savepoint_rollback(before)
    return answer


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reads_its_rows_and_is_refused_at_every_other(role: str, answers: Corpus) -> None:
    rows = {address: (name, row) for address, name, method, row, _ in _rows() if method == "get" and not row.anybody}
    given = {visit.name: visit for visit in answers.of(role or WITHOUT_ROLE) if visit.name in rows}
    assert given.keys() <= rows.keys()
    wrong = [
        f"get {name}: {given[address].status} {given[address].body!r}"[:300]
        for address, (name, row) in ((address, rows[address]) for address in given)
        if given[address].status not in _expected(row, name, role, "get")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.django_db
def test_each_role_changes_by_its_rows_and_is_refused_at_every_other() -> None:
    real, wrong = things.real(addresses.world()), []
    people = {role: make.person(f"only-{role or 'nothing'}", roles=[role] if role else []) for role in ROLES}
    clients = {role: api.proven(person) for role, person in people.items()}
    for address, name, method, row, module in _rows():
        if method == "get" or row.anybody:
            continue
        filled = address.format(**things.keys(address, real))
        for role, client in clients.items():
            if not parts.has_turn(f"{role} {method} {address}", parts.of_module(module)):
                continue
            answer = _asked(client, method, filled)
            if answer.status_code not in _expected(row, name, role, method):
                wrong.append(f"{role or 'nobody'}: {method} {name}: {answer.status_code} {answer.content!r}"[:300])
    assert not wrong, "\n".join(wrong)


def _expected(row: Row, name: str, role: str, method: str) -> set[int]:
    if role in row.roles:
        return {404} if name in NOTHING_SEALED else {200, 201, 202, 207, 400, 409, 412, 422, 428}
    return {400} if {name, f"{method} {name}"} & IN_THE_BODY else {403, 404}
