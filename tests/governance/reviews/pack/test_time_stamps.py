"""A stamp of somebody else on a pack (RFC 3161): what it proves, and that nothing is sealed where it is missing."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django.fixtures import Settings

from audit.actions import Action
from audit.models import Event
from governance.env import BadEnvironmentError, time_stamps
from governance.reviews.pack import seal, time_stamp
from governance.reviews.pack.models import EvidencePack, EvidenceSealing
from governance.reviews.pack_check import verify
from tests.audit.make import Archive
from tests.governance import companies
from tests.governance.console import visits
from tests.governance.reviews import authority, worlds
from tests.governance.reviews.authority import Authority

MESSAGE = b"a signed manifest"
pytestmark = [pytest.mark.loopback, pytest.mark.allow_hosts(["127.0.0.1"])]


@pytest.fixture
def stamps(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    monkeypatch.setattr(time_stamp, "BETWEEN_SECONDS", 0)
    with authority.standing(tmp_path / "authority") as found:
        settings.DEMO, settings.TIME_STAMP_URL = True, found.url
        settings.TIME_STAMP_CA_FILE = str(found.roots)
        yield found


def test_a_stamp_names_the_moment_and_openssl_agrees(stamps: Authority, tmp_path: Path) -> None:
    stamp = time_stamp.stamp(MESSAGE)
    assert stamp
    assert abs(stamp.at - datetime.now(UTC)) < timedelta(minutes=1)
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "stamp").write_bytes(stamp.content)
    command = ["openssl", "ts", "-verify", "-in", "stamp", "-data", "message", "-CAfile", str(stamps.roots)]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_without_an_authority_nobody_is_asked(stamps: Authority, settings: Settings) -> None:
    settings.TIME_STAMP_URL = ""
    assert time_stamp.stamp(MESSAGE) is None
    assert stamps.asked == 0


@pytest.mark.parametrize("lie", ["nothing", "noise", "of something else", "of before"])
def test_what_is_no_proof_of_this_moment_is_refused_after_some_tries(stamps: Authority, lie: str) -> None:
    kept = time_stamp.stamp(b"something else" if lie == "of something else" else MESSAGE)
    assert kept
    stamps.instead = {"nothing": b"", "noise": b"\x30\x03\x02\x01\x00"}.get(lie, kept.content)
    with pytest.raises(time_stamp.NoTimeStamp):
        time_stamp.stamp(MESSAGE)
    assert stamps.asked == 1 + time_stamp.TRIES


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_without_the_certificate_nobody_is_asked_and_nothing_is_stamped(
    stamps: Authority, content: bytes | None
) -> None:
    stamps.roots.unlink() if content is None else stamps.roots.write_bytes(content)
    with pytest.raises(time_stamp.NoTimeStamp):
        time_stamp.stamp(MESSAGE)
    assert stamps.asked == 0


def test_the_stamp_of_a_stranger_is_refused(stamps: Authority, tmp_path: Path, settings: Settings) -> None:
    with authority.standing(tmp_path / "stranger") as stranger:
        settings.TIME_STAMP_URL = stranger.url
        with pytest.raises(time_stamp.NoTimeStamp):
            time_stamp.stamp(MESSAGE)
    assert (stamps.asked, stranger.asked) == (0, time_stamp.TRIES)


@pytest.fixture
def archive(transactional_db: None, tmp_path: Path) -> Archive:  # noqa: ARG001
    return Archive(tmp_path, Ed25519PrivateKey.generate())


def test_a_pack_is_sealed_with_its_stamp_and_not_without(archive: Archive, stamps: Authority, tmp_path: Path) -> None:
    company = companies.found()
    campaign = worlds.closed(company)
    archive.seal()

    stamps.instead = b""
    seal.seal(campaign.pk, by=company.ana, statement=worlds.SIGNED)
    assert not seal.resume(campaign.pk)
    assert EvidenceSealing.objects.get().refused == "time_stamp_unavailable"
    assert not EvidencePack.objects.exists()
    page = visits.text(visits.as_(company.ana).get(f"/reviews/{campaign.slug}/evidence/"))
    assert "gave no valid time stamp" in page

    stamps.instead = None
    pack = worlds.sealed(campaign, company.ana)
    assert pack.stamped_at
    assert Event.objects.get(action=Action.EVIDENCE_SEALED).detail["stamped_at"]
    assert "saw its signed manifest" in visits.text(visits.as_(company.ana).get(f"/reviews/{campaign.slug}/evidence/"))
    _check(b"".join(pack.archive()), stamps, tmp_path, pack.stamped_at)


def _check(content: bytes, stamps: Authority, folder: Path, at: datetime) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    (folder / "key.pem").write_bytes(files["public_key.pem"])
    with authority.standing(folder / "another") as another:
        other = time_stamp.stamp(MESSAGE)
        assert other
        without = {name: each for name, each in files.items() if name != verify.STAMP}
        program = folder / "verify.py"
        program.write_bytes(files["verify.py"])
        for given, roots, said in (
            (files, stamps.roots, f"Stamped at {at:%Y-%m-%dT%H:%M:%S}+00:00 by the authority"),
            (files, None, "was not looked at"),
            (files, another.roots, "WRONG: manifest.tsr is no time stamp of this authority"),
            (without, stamps.roots, "WRONG: manifest.tsr is no time stamp of this authority"),
            ({**files, verify.STAMP: other.content}, stamps.roots, "WRONG: manifest.tsr is no time stamp"),
        ):
            with zipfile.ZipFile(folder / "pack.zip", "w") as written:
                for name, each in given.items():
                    written.writestr(name, each)
            command = [sys.executable, "-I", str(program), "pack.zip", "key.pem", *([str(roots)] if roots else [])]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            assert (said in done.stdout, done.returncode) == (True, int("WRONG" in said)), (done.stdout, done.stderr)


def test_an_authority_needs_its_certificate_and_an_encrypted_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMO", raising=False)
    for address, roots in (("https://stamps.example.org", ""), ("http://stamps.example.org", "roots.pem")):
        monkeypatch.setenv("TIME_STAMP_URL", address)
        monkeypatch.setenv("TIME_STAMP_CA_FILE", roots)
        with pytest.raises(BadEnvironmentError, match="TIME_STAMP"):
            time_stamps()
    monkeypatch.setenv("TIME_STAMP_URL", "https://stamps.example.org")
    assert time_stamps() == ("https://stamps.example.org", "roots.pem")
