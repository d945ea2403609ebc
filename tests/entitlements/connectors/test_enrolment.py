"""The enrolment of a connector over the API, as its own program does it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from entitlements.connectors import connectors, program, proof
from entitlements.connectors.models import Connector
from entitlements.idempotency.models import IdempotentAnswer
from tests import make
from tests.entitlements.api import client

REASON = "for a test"
ADDRESS = "/api/v1/connectors/enrol"


def code() -> str:
    return connectors.add(make.system(), name="hall 3", by=make.analyst(), reason=REASON).code


def public_key() -> str:
    return proof.public_text(Ed25519PrivateKey.generate())


def enrol(console: str, path: Path, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the program with a code on its standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{given}\n"))
    program.main(["enrol", "--console", console, "--key", str(path)])


@pytest.mark.loopback
@pytest.mark.django_db(transaction=True)
def test_the_program_enrols_itself_and_keeps_its_key_to_itself(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given, path = code(), tmp_path / "key.json"
    enrol(live_server.url, path, given, monkeypatch)
    row = Connector.objects.get()
    kept = json.loads(path.read_text())
    assert (kept["connector"], kept["system"], row.state) == (str(row.pk), row.system.slug, "active")
    assert path.stat().st_mode & 0o777 == 0o600
    identity = program.Identity.read(path)
    assert proof.public_text(identity.key) == row.public_key
    assert kept["private_key"] not in caplog.text
    assert kept["private_key"] not in repr(identity)
    with pytest.raises(SystemExit, match="enrolment_refused"):
        enrol(live_server.url, tmp_path / "again.json", given, monkeypatch)
    assert not (tmp_path / "again.json").exists()
    with pytest.raises(SystemExit, match="cannot be made"):
        enrol(live_server.url, path, code(), monkeypatch)
    assert json.loads(path.read_text()) == kept
    path.chmod(0o640)
    with pytest.raises(SystemExit, match="read by others"):
        program.main(["run", "--key", str(path), "--allow", "erp.internal:8443"])


@pytest.mark.parametrize("url", ["http://mandate.example.com", "ftp://localhost", "mandate.example.com"])
def test_the_program_speaks_https_to_other_machines(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="https"):
        enrol(url, tmp_path / "key.json", "x", monkeypatch)
    assert not (tmp_path / "key.json").exists()


@pytest.mark.django_db
def test_a_stranger_enrols_by_a_code_and_by_nothing_else() -> None:
    stranger, given = client.of(), code()
    refused = stranger.post(ADDRESS, {"code": "x", "public_key": public_key()}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "enrolment_refused")
    for body in ({}, {"code": given}, {"code": given, "public_key": "x"}, {"code": [given], "public_key": "x"}):
        assert stranger.post(ADDRESS, body, format="json").status_code in (400, 422)
    answer = stranger.post(ADDRESS, {"code": given, "public_key": public_key()}, format="json")
    assert answer.status_code == 201
    assert given not in answer.content.decode()


@pytest.mark.loopback
@pytest.mark.django_db
def test_enrolments_of_one_source_are_limited(settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "registrations": 2}
    body = {"code": "x", "public_key": public_key()}
    source = f"198.51.100.{Connector.objects.count() + 7}"
    answers = [client.of().post(ADDRESS, body, format="json", REMOTE_ADDR=source).status_code for _ in range(3)]
    assert answers == [403, 403, 429]


@pytest.mark.django_db
def test_the_code_is_in_one_answer_and_stored_in_none() -> None:
    system = make.system()
    ana = client.proven(make.analyst())
    answer = ana.post(
        f"/api/v1/systems/{system.slug}/connectors",
        {"name": "hall 3", "reason": REASON},
        format="json",
        headers={"Idempotency-Key": "one"},
    )
    assert answer.status_code == 201, answer.content
    given = answer.json()["code"]
    assert given.startswith(proof.CODE_PREFIX)
    assert not any(given in str(row) for row in IdempotentAnswer.objects.values())
    shown = ana.get(f"/api/v1/connectors/{answer.json()['id']}").content.decode()
    assert given not in shown
    assert proof.digest(given) not in shown
