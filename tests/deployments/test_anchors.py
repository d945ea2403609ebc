"""Checkpoints and stops in a bucket and at a webhook, and a restore that reads what the bucket has."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import transaction
from pytest_django.fixtures import Settings

from audit import log
from audit.actions import Action
from audit.models import AnchorState, KeptStop
from audit.seals import anchors, seal_key, seals, stops
from entitlements.upstream import sigv4
from governance import env
from governance.operations import after_restore
from governance.operations.anchors import AnchorRefused, Bucket, Webhook
from tests import make as house
from tests import object_storage
from tests.audit import make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def archive(tmp_path: Path) -> make.Archive:
    return make.Archive(tmp_path, Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object_storage.Storage]:
    if not object_storage.SERVER:
        pytest.skip("moto is not installed")
    with object_storage.standing(tmp_path_factory.mktemp("storage")) as found:
        yield found


@pytest.fixture
def bucket(storage: object_storage.Storage, settings: Settings) -> Bucket:
    settings.DEMO = True  # it stands on this machine
    return Bucket(storage.bucket(f"record-{uuid4()}"), storage.signer)


@dataclass
class Receiver:
    """A receiver as the page describes it: what comes is appended to the file that it names."""

    folder: Path
    url: str = ""
    status: int = 200
    tokens: set[str] = field(default_factory=set)

    def take(self, name: str, note: bytes) -> None:
        with (self.folder / name).open("ab") as file:
            file.write(note + b"\n")


@pytest.fixture
def receiver(tmp_path: Path, settings: Settings) -> Iterator[Receiver]:
    settings.DEMO = True
    (tmp_path / "received").mkdir()
    found = Receiver(tmp_path / "received")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            note = self.rfile.read(int(self.headers["Content-Length"]))
            found.tokens.add(self.headers["Authorization"])
            if found.status == 200:
                found.take(self.headers["Mandate-File"], note)
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}/notes?code=hush"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def suspend(slug: str = "robot") -> None:
    with transaction.atomic():
        log.record(Action.AGENT_SUSPENDED, by=make.ANA, about=[f"agent:{slug}"])


def seal(archive: make.Archive, *more: anchors.Anchor, as_new: str = "") -> None:
    """Seal what is pending by a sealer that begins anew, as after each restart."""
    with make.connect(os.environ["SEAL_DATABASE_URL"]) as connection:
        to: Sequence[anchors.Anchor] = [anchors.File(archive.anchor), *more]
        sealer = seals.begin(connection, make.ORIGIN, archive.key, to, restored_as=as_new)
        while sealer.seal_batch():
            pass
        sealer.publish()


def since(archive: make.Archive, size: int, *places: anchors.Anchor) -> stops.Outside:
    return stops.since(places, archive.key.public_key(), make.ORIGIN, size)


def test_a_bucket_has_what_the_file_has_note_for_note(archive: make.Archive, bucket: Bucket) -> None:
    file = anchors.File(archive.anchor)
    for _ in range(3):
        suspend()
        seal(archive, bucket)

    assert list(bucket.notes()) == list(file.notes())
    assert list(bucket.beside("stops").notes()) == list(file.beside("stops").notes())
    assert bucket.last() == file.last()
    assert KeptStop.objects.filter(kept_at=None).count() == 0
    found = since(archive, 1, bucket)
    assert ([line["index"] for line in found.lines], found.is_whole) == ([1, 2], True)


def test_a_bucket_is_read_as_far_back_as_the_backup_and_in_more_than_one_answer(
    archive: make.Archive, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.operations.anchors._AT_ONCE", 2)
    for _ in range(5):
        suspend()
        seal(archive, bucket)
    assert len(list(bucket.notes())) == 5
    assert [line["index"] for line in since(archive, 0, bucket).lines] == [0, 1, 2, 3, 4]
    asked, read = [], Bucket._read

    def counted(self: Bucket, key: str) -> str:
        asked.append(key)
        return read(self, key)

    monkeypatch.setattr(Bucket, "_read", counted)
    assert since(archive, 4, bucket).is_whole
    assert len(asked) == 4, "two checkpoints and two notes, of ten"


def test_a_stop_is_kept_outside_only_when_every_anchor_has_it(archive: make.Archive, bucket: Bucket) -> None:
    stranger = replace(bucket, signer=sigv4.Signer(bucket.signer.access_key_id, "wrong", "us-east-1", "s3"))
    suspend()
    seal(archive, stranger)
    assert anchors.File(archive.anchor).beside("stops").last(), "the file does not wait for the bucket"
    assert KeptStop.objects.get().kept_at is None
    state = AnchorState.objects.get(name=str(bucket))
    assert "403" in state.problem
    assert "wrong" not in f"{state.name} {state.problem} {stranger!r}"

    seal(archive, bucket)
    assert KeptStop.objects.get().kept_at is not None


def test_what_is_not_ours_in_a_bucket_is_not_written_over(
    archive: make.Archive, bucket: Bucket, storage: object_storage.Storage
) -> None:
    storage.send("PUT", f"{bucket.url.removeprefix(storage.url)}/checkpoints-0.html", b"hello")
    with pytest.raises(AnchorRefused, match="not ours"):
        bucket.last()
    suspend()
    seal(archive, bucket)
    assert KeptStop.objects.get().kept_at is None
    assert not since(archive, 0, anchors.File(archive.anchor), bucket).is_whole


def test_a_sealer_that_begins_on_a_restored_backup_is_stopped_by_the_bucket_alone(
    archive: make.Archive, bucket: Bucket
) -> None:
    suspend()
    seal(archive, bucket)
    archive.anchor.unlink()
    make.tamper("DELETE FROM leaves; DELETE FROM checkpoints")
    with pytest.raises(seals.RestoredBackup):
        seal(archive, bucket)


def test_a_webhook_gets_each_note_once_though_the_sealer_begins_anew(archive: make.Archive, receiver: Receiver) -> None:
    webhook, file = Webhook(receiver.url, "let me in"), anchors.File(archive.anchor)
    for _ in range(3):
        suspend()
        seal(archive, webhook)

    received = anchors.File(receiver.folder / "checkpoints")
    assert list(received.notes()) == list(file.notes())
    assert list(received.beside("stops").notes()) == list(file.beside("stops").notes())
    assert receiver.tokens == {"Bearer let me in"}
    assert since(archive, 1, received).is_whole
    assert "hush" not in AnchorState.objects.get(name__startswith="http").name


def test_a_webhook_that_was_away_gets_what_it_lacks(archive: make.Archive, receiver: Receiver) -> None:
    webhook, received = Webhook(receiver.url, ""), anchors.File(receiver.folder / "checkpoints")
    suspend()
    seal(archive, webhook)
    receiver.status = 503
    suspend()
    seal(archive, webhook)
    assert KeptStop.objects.filter(kept_at=None).count() == 1
    assert "503" in AnchorState.objects.get(name=str(webhook)).problem

    receiver.status = 200
    suspend()
    seal(archive, webhook)
    found = since(archive, 0, received)
    assert ([line["index"] for line in found.lines], found.is_whole) == ([0, 1, 2], True)


def test_what_one_anchor_lacks_another_gives(archive: make.Archive, bucket: Bucket) -> None:
    """The bucket was away for the second stop, and the disk of the file is lost after it."""
    away = replace(bucket, url=f"{bucket.url}-away")
    suspend()
    seal(archive, bucket)
    suspend()
    seal(archive, away)
    kept = anchors.File(archive.anchor)
    assert [line["index"] for line in since(archive, 1, bucket, kept).lines] == [1]
    assert since(archive, 1, bucket, kept).is_whole
    assert not since(archive, 1, kept, away).is_whole, "an anchor out of reach may know more"


def test_a_restore_on_a_new_machine_reads_the_bucket(
    archive: make.Archive, bucket: Bucket, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, other = house.agent(), house.agent()
    archive.key = seal_key.create(tmp_path / "seal.pem", make.ORIGIN)
    settings.SEAL_KEY_FILE, settings.ANCHOR_FILE = str(tmp_path / "seal.pem"), str(tmp_path / "lost" / "checkpoints")
    suspend()
    seal(archive, bucket)
    suspend(agent.slug)
    seal(archive, bucket)
    make.tamper("DELETE FROM leaves WHERE index >= (SELECT min(size) FROM checkpoints)")
    make.tamper("DELETE FROM checkpoints WHERE size > (SELECT min(size) FROM checkpoints)")
    monkeypatch.setenv("DEMO", "1")
    monkeypatch.setenv("ANCHOR_BUCKET_URL", bucket.url)
    monkeypatch.setenv("ANCHOR_BUCKET_ACCESS_ID", bucket.signer.access_key_id)
    monkeypatch.setenv("ANCHOR_BUCKET_SECRET", bucket.signer.secret_access_key)

    done = after_restore.after_restore(by=make.ANA, reason="the machine is lost")

    agent.refresh_from_db()
    other.refresh_from_db()
    assert (agent.status, other.status) == ("suspended", "active")
    assert (done.is_whole, done.ended.stops, done.closed) == (True, 1, [])


def test_a_restore_reads_the_file_that_the_receiver_of_a_webhook_wrote(
    archive: make.Archive, receiver: Receiver, settings: Settings, tmp_path: Path
) -> None:
    agent = house.agent()
    archive.key = seal_key.create(tmp_path / "seal.pem", make.ORIGIN)
    settings.SEAL_KEY_FILE, settings.ANCHOR_FILE = str(tmp_path / "seal.pem"), str(tmp_path / "lost" / "checkpoints")
    suspend(agent.slug)
    seal(archive, Webhook(receiver.url, ""))
    make.tamper("DELETE FROM leaves; DELETE FROM checkpoints")
    call_command("after_restore", "--reason", "lost", "--notes", str(receiver.folder / "checkpoints"))
    agent.refresh_from_db()
    assert agent.status == "suspended"


@pytest.mark.parametrize("address", ["ftp://minio.example/record", "http://minio.example/record"])
@pytest.mark.parametrize("name", ["ANCHOR_BUCKET_URL", "ANCHOR_WEBHOOK_URL"])
def test_an_anchor_with_a_bad_address_stops_the_sealer(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO", "")
    monkeypatch.setenv(name, address)
    with pytest.raises(env.BadEnvironmentError, match=name):
        anchors.places("checkpoints")


def test_a_bucket_without_its_secret_stops_the_sealer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHOR_BUCKET_URL", "https://minio.example/record")
    with pytest.raises(env.BadEnvironmentError, match="ANCHOR_BUCKET_SECRET"):
        anchors.places("checkpoints")


def test_an_anchor_that_hangs_keeps_the_sealer_from_its_work_for_a_tenth_of_the_time(
    archive: make.Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, tries = [0.0], []

    class Hanging(anchors.File):
        def last(self) -> str:
            tries.append(now[0])
            now[0] += 5
            raise OSError("no answer")

    monkeypatch.setattr(seals, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=None))
    with make.connect(os.environ["SEAL_DATABASE_URL"]) as connection:
        sealer = seals.begin(connection, make.ORIGIN, archive.key, [Hanging(archive.anchor)])
        suspend()
        sealer.seal_batch()
        for _ in range(100):
            sealer.publish()
            now[0] += 1
    assert len(tries) == 3, "as it begins, at once, and 55 s later"
