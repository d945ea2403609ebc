"""Loading a policy domain: a version, one event, one change of the feed; over the API and by the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from audit.models import Event
from entitlements.catalog.models import System
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed.models import Change
from entitlements.policy_domains import domains
from entitlements.policy_domains.models import PolicyDomain
from tests import make
from tests.entitlements.api import client as api
from tests.entitlements.policy_domains.test_domain_rules import DOCUMENT

pytestmark = pytest.mark.django_db


@pytest.fixture
def system() -> System:
    make.client(None, "pep")
    return make.system("foreign", kind=System.Kind.KNOWN)


def load(system: System, reason: str = "The first rules.", **changes: object) -> PolicyDomain:
    return domains.load(system, document={**DOCUMENT, **changes}, by=make.person(roles=["admin"]), reason=reason)


def test_a_document_is_a_version_with_one_event_and_one_change(system: System) -> None:
    first, second = load(system), load(system, resources=[])

    first.refresh_from_db()
    assert (first.number, second.number) == (1, 2)
    assert (first.replaced_at is not None, second.replaced_at) == (True, None)
    events = Event.objects.filter(action="policy_domain.loaded").order_by("at")
    assert [event.detail["version"] for event in events] == [1, 2]
    assert "system:foreign" in events[0].links
    assert events[0].reason == "The first rules."
    assert Change.objects.filter(system_id=system.pk).count() == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"rules": [{}]}, "policy_domain_malformed"),
        ({"subjects": [{"type": "user", "id": "a\u0000"}]}, "policy_domain_malformed"),
        ({"enforcement_points": ["nobody"]}, "enforcement_point_unusable"),
        ({}, "policy_domain_unchanged"),
    ],
)
def test_what_cannot_be_in_force_is_refused_and_changes_nothing(
    system: System, change: dict[str, Any], code: str
) -> None:
    load(system)

    with pytest.raises(DomainError) as refused:
        load(system, **change)

    assert refused.value.code == code
    assert domains.current().get(system=system).number == 1
    assert Event.objects.filter(action="policy_domain.loaded").count() == 1


def test_a_reason_is_required_and_mandate_itself_has_none(system: System) -> None:
    with pytest.raises(ReasonRequired):
        load(system, reason=" ")
    with pytest.raises(NotFound):
        load(make.system("mandate", kind=System.Kind.BUILTIN))


def test_a_client_asks_about_one_system(system: System) -> None:
    load(system)
    other = make.system("another", kind=System.Kind.KNOWN)

    with pytest.raises(domains.EnforcementPointUnusable) as refused:
        load(other)
    assert refused.value.detail == {"client": "pep", "system": "foreign"}
    load(system, enforcement_points=[])
    assert load(other).number == 1


def test_an_owner_names_no_client_that_is_not_theirs(system: System) -> None:
    sam = system.owner
    assert sam is not None
    make.client(make.agent(owner=sam), "his")
    for theirs in ("pep", make.client(make.agent(), "of-another")[0].client_id):
        with pytest.raises(domains.EnforcementPointUnusable):
            domains.load(system, document={**DOCUMENT, "enforcement_points": ["his", theirs]}, by=sam, reason="mine")
    domains.load(system, document={**DOCUMENT, "enforcement_points": ["his"]}, by=sam, reason="mine")
    load(system, enforcement_points=["his", "pep"])
    again = {**DOCUMENT, "enforcement_points": ["pep"], "rules": []}
    assert domains.load(system, document=again, by=sam, reason="what an admin added stays").number == 3


def test_the_database_knows_one_version_in_force(system: System) -> None:
    row = load(system)
    row.pk, row.number, row._state.adding = None, 2, True

    with pytest.raises(IntegrityError, match="a_system_has_one_policy_domain_in_force"), transaction.atomic():
        row.save(force_insert=True)


def test_the_command_loads_a_file(system: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make.person("admin", roles=["admin"])
    file = tmp_path / "domain.json"
    file.write_text(json.dumps(DOCUMENT))
    given = {"system": "foreign", "by": "admin", "reason": "The first rules."}

    call_command("load_policy_domain", str(file), **given)

    assert json.loads(capsys.readouterr().out)["version"] == 1
    assert domains.current().get(system=system).loaded_by.login == "admin"
    for wrong in ({"system": "nowhere"}, {"by": "nobody"}, {}):
        with pytest.raises(CommandError):
            call_command("load_policy_domain", str(file), **{**given, **wrong})
    file.write_text('{"rules": [], "rules": []}')
    with pytest.raises(CommandError, match="malformed"):
        call_command("load_policy_domain", str(file), **given)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("load_policy_domain", str(tmp_path), **given)


@pytest.mark.usefixtures("system")
def test_an_admin_registers_an_application_and_loads_its_domain_over_the_api() -> None:
    ada, sam = make.person("ada", roles=["admin"]), make.person("sam")
    todo = {"slug": "todo", "name": "Todo", "kind": "known", "owner": sam.login}
    assert api.of(make.analyst()).post("/api/v1/systems", todo, format="json").status_code == 201
    wrong = {**todo, "slug": "other", "upstream_url": "https://todo.example"}
    assert api.of(make.analyst()).post("/api/v1/systems", wrong, format="json").status_code == 400
    address, body = "/api/v1/systems/todo/policy-domain", {"document": DOCUMENT, "reason": "The first rules."}
    assert api.of(ada).get(address).status_code == 404

    loaded = api.proven(ada).put(address, body, format="json")

    assert (loaded.status_code, loaded.json()["number"], loaded.json()["enforcement_points"]) == (200, 1, ["pep"])
    for reader in (ada, sam):
        assert api.of(reader).get(address).json()["document"] == DOCUMENT
    assert api.of(make.person("otto")).get(address).status_code == 404
    assert api.proven(make.analyst()).put(address, body, format="json").status_code == 403
    refused = api.proven(ada).put(address, body, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "policy_domain_unchanged")
    for document, status in (({"rules": 5}, 422), ("text", 400)):
        answer = api.proven(sam).put(address, {**body, "document": document}, format="json")
        assert answer.status_code == status, answer.text
