"""The schema against the live API: what it promises of answers, who must prove themselves, whose things are whose.

The short form asks each operation a few times as each person; `make full` asks a hundred times more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from audit.context import SYSTEM
from entitlements.people import people
from entitlements.people.models import Person
from tests import make, waits
from tests.attacks import things
from tests.governance.console import addresses
from tests.nodes.attacks import web

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("database")]
CHECKS: Final[list[Any]] = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
ROLES: Final = {"ana": ["analyst", "security"], "adele": ["admin", "auditor"], "sofia": [], "mallory": []}
COMMON_WORDS: Final = ("audit/index", "agent-kinds/key", "tools/name", "approval-policies/key", "unmanaged-agents/key")
"""Parts of addresses that are said elsewhere too, or are numbers."""
WRONG_PROOFS: Final = ("Bearer nothing", "Bearer mdt_" + "A" * 43, "Basic YTpi", "bearer", "Token x")
REACHES_OUT: Final = "/api/v1/systems/{key}/discover"
"""Its answer may be that the system cannot be reached (502, 504), which is no failure of ours."""


@dataclass(frozen=True)
class Live:
    """The API of a running process, tokens of several people, and what exists there."""

    http: httpx2.Client
    operations: Mapping[str, Any]
    """Every operation by its label."""
    tokens: Mapping[str, str]
    real: Mapping[str, object]
    log: Path

    def key(self, path: str) -> dict[str, object]:
        """Return what exists, for the parts of an address."""
        return things.keys(path, self.real)


@pytest.fixture(scope="module")
def live(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:  # noqa: ARG001 - it is read by the process
    world = addresses.world()
    people_of = {"adele": make.person("adele", roles=ROLES["adele"])}
    people.assign_role(world.company.ana, "security", by=SYSTEM, reason="made for a test")
    tokens = {
        login: people.make_api_token(people_of.get(login) or Person.objects.get(login=login), "fuzz", by=SYSTEM)
        for login in ROLES
    }
    log = tmp_path_factory.mktemp("web") / "log"
    with web.web(log) as base, httpx2.Client(base_url=base, timeout=waits.SECONDS) as http:
        document = http.get("/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"}).json()
        schema: Any = schemathesis.openapi.from_dict(document)
        found = [each.ok() for each in schema.get_all_operations()]
        yield Live(http, {each.label: each for each in found}, tokens, things.real(world), log)


def _ask(live: Live, case: Any, login: str) -> Any:  # noqa: ANN401 - schemathesis' own types
    sent = {**(case.headers or {}), "Authorization": f"Bearer {live.tokens[login]}"}
    return case.call(base_url=str(live.http.base_url).rstrip("/"), headers=sent, timeout=waits.SECONDS)


def _fuzz(live: Live, examples: int) -> list[str]:
    """Ask every operation and return what was not as the schema says."""
    found = []
    for label, operation in live.operations.items():
        try:
            _trial(live, operation, examples)()
        except (AssertionError, BaseExceptionGroup) as error:
            found.append(f"{label}: {error}")
    return found


def _trial(live: Live, operation: Any, examples: int) -> Callable[[], None]:  # noqa: ANN401 - schemathesis' own type
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(data=st.data())
    def ask(data: Any) -> None:  # noqa: ANN401 - hypothesis' own type
        real = live.key(operation.path) if data.draw(st.booleans()) else None
        case = data.draw(operation.as_strategy(path_parameters=real or None))
        answer = _ask(live, case, data.draw(st.sampled_from(sorted(ROLES))))
        if operation.path != REACHES_OUT or answer.status_code not in (502, 504):
            case.validate_response(answer, checks=CHECKS)

    return ask


def test_every_answer_is_one_that_the_schema_promises(live: Live) -> None:
    found = _fuzz(live, 3)
    assert found == [], "\n\n".join(found)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_answer_is_one_that_the_schema_promises_at_length(live: Live) -> None:
    found = _fuzz(live, 300)
    assert found == [], "\n\n".join(found)


def _public(operation: Any) -> bool:  # noqa: ANN401 - as above
    return str(operation.path) in ("/api/v1/schema", "/api/v1/docs", "/api/v1/connectors/enrol")


def test_no_operation_ignores_who_asks(live: Live) -> None:
    """Each is asked without a proof and with a wrong one, in turn: all of them share how a proof is read."""
    for number, (label, operation) in enumerate(live.operations.items()):
        if _public(operation):
            continue
        address = operation.path.format(**live.key(operation.path))
        for proof in ("", WRONG_PROOFS[number % len(WRONG_PROOFS)]):
            headers = {"Authorization": proof} if proof else {}
            answer = live.http.request(operation.method.upper(), address, json={}, headers=headers)
            assert answer.status_code == 401, (label, proof)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer"), (label, proof)


def test_whoever_has_no_right_to_a_thing_never_reads_or_changes_it(live: Live) -> None:
    """Mallory knows every identifier there is, and is nothing to any of them."""
    headers = {"Authorization": f"Bearer {live.tokens['mallory']}"}
    names = {str(value) for name, value in live.real.items() if name not in COMMON_WORDS}
    for label, operation in live.operations.items():
        if _public(operation) or operation.path == "/api/v1/keys":  # public halves of keys are for everybody
            continue
        key = live.key(operation.path)
        address = operation.path.format(**key)
        answer = live.http.request(operation.method.upper(), address, headers=headers, json={"reason": "x"})
        if key:
            assert answer.status_code in (403, 404), (label, answer.text)
        said = re.sub(r'"instance":"[^"]*"', "", answer.text)
        assert not [name for name in names if f'"{name}"' in said], (label, answer.text)


def test_the_process_said_nothing_of_an_error_of_its_own(live: Live) -> None:
    assert "Traceback" not in live.log.read_text(errors="replace")
