"""The sealer loses nothing and doubles nothing, whatever happens to it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import chain, clock
from audit.models import AnchorState, Checkpoint, Event, Leaf, Pending
from audit.seals import anchors, proofs, seal_key, seals
from tests import waits
from tests.audit import make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection() -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Return a connection as the sealer's role."""
    with make.connect(os.environ["SEAL_DATABASE_URL"]) as connection:
        yield connection


@contextmanager
def process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the sealer as the process it is; it is ended with the block."""
    places = {"ANCHOR_FILE": str(folder / "anchor"), "SEAL_KEY_FILE": str(folder / "seal.pem")}
    command = [sys.executable, "manage.py", "seal"]
    sealer = subprocess.Popen(command, cwd=make.ROOT, env={**os.environ, **places}, stderr=subprocess.DEVNULL)
    try:
        yield sealer
    finally:
        sealer.terminate()
        sealer.wait(waits.SECONDS)


def test_a_thousand_mixed_events_are_a_thousand_leaves(archive: make.Archive) -> None:
    for n in range(100):
        make.event({"n": n})
        with make.rolled_back():
            make.event({"never": n})
    make.events(900)
    archive.seal()

    assert list(Leaf.objects.order_by("index").values_list("index", flat=True)) == list(range(1000))
    assert set(Leaf.objects.values_list("at", "uuid")) == set(Event.objects.values_list("at", "uuid"))
    assert not Pending.objects.exists()
    hashes = [chain.leaf_hash(event.body.encode()) for event in Event.objects.order_by("sequence")]
    assert bytes(Checkpoint.objects.get().root) == chain.root_of(hashes)
    assert archive.verify()[0] == 0


def test_a_sealer_goes_on_where_the_last_one_ended(archive: make.Archive) -> None:
    for count in (1, 2, 300, 7):
        make.events(count)
        archive.seal()

    assert [head.size for head in Checkpoint.objects.order_by("size")] == [1, 3, 303, 310]
    assert archive.verify()[0] == 0


@pytest.mark.loopback
def test_a_sealer_killed_twice_under_load_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with process(tmp_path) as sealer:
            before = Leaf.objects.count()
            for _ in range(4):
                make.events(3000)
            waits.until(lambda before=before: Leaf.objects.count() > before)  # type: ignore[misc]
            sealer.send_signal(signal.SIGKILL)
            sealer.wait()
    with process(tmp_path):
        waits.until(lambda: not Pending.objects.exists())
    key = seal_key.load(tmp_path / "seal.pem")
    archive = make.Archive(tmp_path, key)

    assert Leaf.objects.count() == Event.objects.count() == 24_000
    vkey = (tmp_path / "seal.vkey").read_text().strip()
    done = subprocess.run(
        [sys.executable, "audit/verify.py", archive.export(), "--checkpoint", archive.anchor, "--key", vkey],
        cwd=make.ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("PROVEN: 24000 of 24000 events")


@pytest.mark.loopback
def test_a_standby_takes_over_when_the_active_one_is_killed(tmp_path: Path) -> None:
    with process(tmp_path) as first:
        make.event()
        waits.until(lambda: Leaf.objects.count() == 1)
        with process(tmp_path):
            make.event()
            waits.until(lambda: Leaf.objects.count() == 2)
            first.send_signal(signal.SIGKILL)
            make.event()
            waits.until(lambda: Leaf.objects.count() == 3)


@pytest.mark.loopback
def test_an_event_is_sealed_and_published_by_itself(tmp_path: Path) -> None:
    with process(tmp_path):
        make.event()
        waits.until(lambda: Leaf.objects.count() == 1)
        make.event()
        waits.until(lambda: Leaf.objects.count() == 2)
        waits.until(lambda: "\n2\n" in (tmp_path / "anchor").read_text())


def test_what_was_committed_and_not_published_is_published_at_the_next_start(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    make.events(3)
    archive.sealer(connection).seal_batch()
    connection.close()
    assert not archive.anchor.exists()

    archive.seal()
    assert archive.verify()[1].startswith("PROVEN: 3 of 3 events")


def test_one_sealer_is_active_at_a_time(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    archive.sealer(connection)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            connection.close()

    with make.connect(os.environ["SEAL_DATABASE_URL"]) as other:
        assert archive.sealer(other, wait=wait).seal_batch() == 0
    assert len(waits) >= 2


def test_a_sealer_whose_lock_is_lost_writes_nothing_beside_the_one_that_took_over(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    address = os.environ["SEAL_DATABASE_URL"]
    with make.connect(address) as lock, make.connect(address) as unaware, make.connect(address) as other:
        first = archive.sealer(connection, lock=lock)
        make.events(3)
        assert first.seal_batch() == 3
        lock.close()
        make.events(2)
        assert archive.sealer(other).seal_batch() == 2
        make.event()
        with pytest.raises(psycopg.OperationalError, match="closed"):
            first.seal_batch()
        first.lock = unaware  # as if it had looked a moment before
        with pytest.raises(seals.Overtaken):
            first.seal_batch()
    archive.seal()
    assert archive.verify()[1].startswith("PROVEN: 6 of 6 events")


def test_a_sealer_waits_for_the_batch_of_one_that_lost_its_lock_before_it_looks_where_the_log_ends(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    sealer = archive.sealer(connection)
    make.event()
    connection.execute("SET lock_timeout = '50ms'")
    with make.connect(os.environ["SEAL_DATABASE_URL"]) as other:
        with other.transaction():
            other.execute("SELECT pg_advisory_xact_lock(%s)", [seals._BATCH_LOCK])
            for begins in (sealer.seal_batch, lambda: archive.sealer(connection)):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    begins()
        assert sealer.seal_batch() == 1


def test_an_event_that_is_pending_no_more_when_its_leaf_is_written_stops_the_sealer(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer, now = archive.sealer(connection), clock.now
    make.events(2)

    def delete() -> datetime:
        with make.connect(os.environ["MIGRATE_DATABASE_URL"]) as owner:
            owner.execute("DELETE FROM pending WHERE sequence = 1")
        return now()

    monkeypatch.setattr(clock, "now", delete)
    with pytest.raises(seals.RecordDamaged, match="2 pending rows were read and 1 were there"):
        sealer.seal_batch()
    assert not Leaf.objects.exists()


def test_pages_are_told_what_is_in_each_anchor_and_when_it_is_out_of_reach(archive: make.Archive) -> None:
    make.events(3)
    archive.seal()
    told = AnchorState.objects.get()
    assert (told.note, told.problem) == (anchors.File(archive.anchor).last(), "")
    archive.folder = archive.folder / "away"
    make.event()
    archive.seal()
    away = AnchorState.objects.get()
    assert "No such file" in away.problem
    assert str(archive.anchor) in away.name


def test_an_anchor_out_of_reach_stops_no_sealing_and_is_tried_again(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "PUBLISH_EVERY", 0.0)
    archive.folder = archive.folder / "away"
    make.events(3)
    turns: list[float] = []

    def wait(seconds: float) -> None:
        turns.append(seconds)
        assert Leaf.objects.count() == 3
        if len(turns) == 2:
            archive.folder.mkdir()
        assert archive.anchor.exists() == (len(turns) > 2)  # before the last publication, at the end

    archive.sealer(connection).run(lambda: len(turns) == 4, wait)
    assert archive.verify()[1].startswith("PROVEN: 3 of 3 events")
    assert archive.anchor.read_text().count("\n3\n") == 1


def test_a_pending_event_without_its_row_stops_the_sealer_which_names_it(archive: make.Archive) -> None:
    make.events(2)
    lost = make.event()
    make.tamper("DELETE FROM events WHERE sequence = 3")

    with pytest.raises(seals.RecordDamaged, match=str(lost.uuid)):
        archive.seal()
    assert not Leaf.objects.exists()
    assert Pending.objects.count() == 3


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM leaves WHERE index = 9",
        "UPDATE checkpoints SET frontier[1] = '\\x00'",
        "UPDATE checkpoints SET note = replace(note, 'mandate', 'mandant')",
        "DELETE FROM checkpoints; DELETE FROM leaves",
    ],
)
def test_the_sealer_does_not_sign_over_damage(archive: make.Archive, statement: str) -> None:
    make.events(10)
    archive.seal()
    make.tamper(statement)
    make.event()

    with pytest.raises(seals.RecordDamaged):
        archive.seal()
    assert Pending.objects.count() == 1


def test_the_sealer_does_not_go_on_beside_its_anchor(archive: make.Archive) -> None:
    make.events(10)
    archive.seal()
    anchored = archive.anchor.read_text()
    other = chain.sign(chain.Checkpoint(make.ORIGIN, 10, chain.EMPTY_ROOT), archive.key)
    archive.anchor.write_text(anchored + other + "\n")

    with pytest.raises(seals.RecordDamaged, match="disagree"):
        archive.seal()


def test_a_restored_backup_goes_on_under_a_new_name_and_both_names_verify(archive: make.Archive) -> None:
    make.events(10)
    archive.seal()
    backup = archive.export().read_bytes()
    make.events(5)
    archive.seal()
    make.tamper("DELETE FROM leaves WHERE index > 9; DELETE FROM checkpoints WHERE size > 10")  # the restore
    make.tamper("DELETE FROM events WHERE sequence > 10")
    with pytest.raises(seals.RecordDamaged, match="restored backup"):
        archive.seal()

    with make.connect(os.environ["SEAL_DATABASE_URL"]) as connection:
        archive.sealer(connection, restored_as="mandate.test/record-2")
    export = archive.folder / "backup.jsonl"
    export.write_bytes(backup)

    assert archive.verify(export)[0] == 1  # under the old name, what was lost is missed
    key = chain.vkey("mandate.test/record-2", archive.key.public_key())
    command: list[str | Path] = [
        sys.executable,
        "audit/verify.py",
        export,
        "--checkpoint",
        archive.anchor,
        "--key",
        key,
    ]
    assert subprocess.run(command, cwd=make.ROOT, check=False, capture_output=True).returncode == 0


def test_proofs_hold_against_the_signed_root_for_every_kind_of_place(archive: make.Archive) -> None:
    for count in (1, 255, 1, 300, 43):
        make.events(count)
        archive.seal()
    heads = list(Checkpoint.objects.order_by("size"))
    root = bytes(heads[-1].root)

    for leaf in Leaf.objects.filter(index__in=[0, 1, 254, 255, 256, 257, 511, 512, 598, 599]):
        proof = proofs.inclusion(leaf.producer, leaf.sequence)
        assert chain.verify_inclusion(proof.leaf, leaf.index, 600, proof.path, root)
    for head in heads:
        assert chain.verify_consistency(head.size, 600, bytes(head.root), root, proofs.consistency(head.size))
    with pytest.raises(proofs.NoSuchProof):
        proofs.inclusion(make.event().producer, 601)


def test_a_half_written_note_is_not_one_and_the_next_follows_it(tmp_path: Path) -> None:
    file = anchors.File(tmp_path / "anchor")
    first = chain.sign(chain.Checkpoint("x", 1, chain.EMPTY_ROOT), Ed25519PrivateKey.generate())
    second = chain.sign(chain.Checkpoint("x", 2, chain.EMPTY_ROOT), Ed25519PrivateKey.generate())
    assert file.last() == ""
    file.publish(first)
    for cut in range(1, len(second)):
        whole = file.path.read_bytes()
        file.path.write_bytes(whole + second.encode()[:cut])
        file.publish(second)
        assert file.last() == second
        assert [note for note in anchors.split(file.path.read_text("utf-8", "replace")) if note in (first, second)][:1]
        file.path.write_bytes(whole)
    assert file.last() == first


def test_the_signing_key_is_for_its_owner_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "seal.pem"
    key = seal_key.create(path, "x")

    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys" / "seal.vkey").read_text().strip() == chain.vkey("x", key.public_key())
    with pytest.raises(FileExistsError):
        seal_key.create(path, "x")
    path.write_text("no key")
    with pytest.raises(seal_key.BadSealKey):
        seal_key.load(path)
