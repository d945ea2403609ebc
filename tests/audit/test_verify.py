"""Whatever is done to the record, even by whoever owns the database, the offline verifier finds it and names it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import transaction

from audit import chain, context, log, verify
from audit.actions import Action
from tests.audit import make

pytestmark = pytest.mark.django_db(transaction=True)
type Lines = list[bytes]


@pytest.fixture
def record(archive: make.Archive) -> make.Archive:
    """Sixty sealed events under checkpoints of 20, 40 and 60; the events 7 and 8 say the same."""
    for _ in range(3):
        make.events(20)
        archive.seal()
    return archive


def _index(said: str) -> int:
    found = re.match(r"TAMPERED at index (\d+): ", said)
    assert found, said
    return int(found.group(1))


def _export(record: make.Archive, change: Callable[[Lines], Lines]) -> Path:
    path = record.export()
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    return path


def _renumbered(lines: Lines) -> Lines:
    """Lines whose indexes and hashes fit their bodies: what a careful forger would write."""
    bodies = [line[8 : line.rfind(b',"hash"')] for line in lines]
    return [
        b'{"body":%s,"hash":"%s","index":%d}\n' % (body, chain.leaf_hash(body).hex().encode(), index)
        for index, body in enumerate(bodies)
    ]


def test_an_untouched_record_verifies(record: make.Archive) -> None:
    status, said = record.verify(None, "--max-age", "60")

    assert status == 0
    assert said.startswith("PROVEN: 60 of 60 events are covered by 3 signed checkpoints")


def _own(record: make.Archive) -> tuple[Path, str]:
    """Export the sixty events with their own checkpoint, and seal twenty more, which the anchor covers."""
    export, own = record.folder / "older.jsonl", record.folder / "own"
    call_command("record_export", output=export, checkpoint=own)
    make.events(20)
    record.seal()
    return export, str(own)


def test_an_older_export_is_proven_up_to_its_own_checkpoint_by_a_newer_anchor(record: make.Archive) -> None:
    export, own = _own(record)

    status, said = record.verify(export, "--own", own)
    assert (status, said.partition(":")[0]) == (3, "PROVEN UP TO ITS OWN CHECKPOINT")
    assert "60 of 60 events are covered by 3 signed checkpoints" in said
    assert "Newer checkpoints cover 81 events" in said, "with the export itself, which is an event"
    assert record.verify(export)[0] == 1, "without its own checkpoint it is as one that was cut short"
    assert record.verify(None, "--own", own)[0] == 0, "one that holds all of it is proven"


def test_a_truncated_or_altered_export_is_tampered_with_beside_its_own_checkpoint(record: make.Archive) -> None:
    export, own = _own(record)
    lines = export.read_bytes().splitlines(keepends=True)

    for cut in (59, 40, 0):
        export.write_bytes(b"".join(lines[:cut]))
        status, said = record.verify(export, "--own", own)
        assert (status, _index(said)) == (1, cut), said
        assert f"events {cut} to 59 are missing" in said
    export.write_bytes(b"".join(_renumbered([line.replace(b'"n":5}', b'"n":6}') for line in lines])))
    assert record.verify(export, "--own", own)[0] == 1


def test_a_checkpoint_of_another_key_or_another_root_is_no_own_checkpoint(record: make.Archive) -> None:
    export, own = _own(record)
    forged = chain.Checkpoint(make.ORIGIN, 40, b"\0" * 32, "2026-01-01T00:00:00Z")
    for key, says in ((Ed25519PrivateKey.generate(), "not signed"), (record.key, "two different roots")):
        Path(own).write_text(chain.sign(forged, key))
        status, said = record.verify(export, "--own", own)
        assert (status, says in said or "no checkpoint" in said) == (1, True), said


def test_events_after_the_last_checkpoint_are_said_to_be_uncovered(record: make.Archive) -> None:
    notes = record.anchor.read_text()
    make.events(5)
    record.seal()
    record.anchor.write_text(notes)

    status, said = record.verify()
    assert status == 0
    assert "5 events are newer" in said


def test_a_flipped_byte_is_found_at_its_index(record: make.Archive) -> None:
    make.tamper("UPDATE events SET body = replace(body, '\"n\":17', '\"n\":18') WHERE sequence = 18")

    status, said = record.verify()
    assert (status, _index(said)) == (1, 17)


def test_a_flipped_byte_under_a_recomputed_leaf_is_found_in_its_range(record: make.Archive) -> None:
    path = _export(record, lambda lines: _renumbered([line.replace(b'"n":5}', b'"n":6}') for line in lines]))

    status, said = record.verify(path)
    assert (status, _index(said)) == (1, 0)
    assert "among events 0 to 19" in said


def test_a_deleted_event_is_found_at_its_index(record: make.Archive) -> None:
    make.tamper("DELETE FROM events WHERE sequence = 31")

    status, said = record.verify()
    assert (status, _index(said)) == (1, 30)


def test_a_deleted_event_whose_place_was_closed_up_is_found_by_its_producers_numbers(record: make.Archive) -> None:
    path = _export(record, lambda lines: _renumbered(lines[:30] + lines[31:]))

    status, said = record.verify(path)
    assert (status, _index(said)) == (1, 30)
    assert "number 32 of its producer, where number 31" in said


def test_a_deleted_line_is_found_at_its_index(record: make.Archive) -> None:
    status, said = record.verify(_export(record, lambda lines: lines[:30] + lines[31:]))

    assert (status, _index(said)) == (1, 30)


def test_a_line_that_claims_another_place_is_found(record: make.Archive) -> None:
    path = _export(record, lambda lines: [*lines[:-1], lines[-1].replace(b'"index":59}', b'"index":60}')])

    status, said = record.verify(path)
    assert (status, _index(said)) == (1, 59)


def test_a_swapped_pair_of_events_that_say_the_same_is_found(record: make.Archive) -> None:
    def swap(lines: Lines) -> Lines:
        return _renumbered([*lines[:7], lines[8], lines[7], *lines[9:]])

    status, said = record.verify(_export(record, swap))
    assert (status, _index(said)) == (1, 7)


def test_a_swapped_pair_inside_the_database_is_found(record: make.Archive) -> None:
    make.tamper("""
        UPDATE leaves a SET at = b.at, uuid = b.uuid FROM leaves b
         WHERE (a.index, b.index) IN ((7, 8), (8, 7))""")

    status, said = record.verify()
    assert (status, _index(said)) == (1, 7)


def test_a_truncated_tail_is_found_where_it_begins(record: make.Archive) -> None:
    make.tamper("DELETE FROM leaves WHERE index >= 55; DELETE FROM checkpoints WHERE size > 40")

    status, said = record.verify()
    assert (status, _index(said)) == (1, 55)
    assert "events 55 to 59 are missing" in said


def test_a_tree_rebuilt_without_the_key_is_found_in_its_range(record: make.Archive) -> None:
    """The forger changes event 45, rebuilds every leaf, root and checkpoint, and signs with a key of his own."""

    def forge(lines: Lines) -> Lines:
        return _renumbered([*lines[:45], lines[45].replace(b"person:ana", b"person:eve"), *lines[46:]])

    path = _export(record, forge)
    status, said = record.verify(path)
    assert (status, _index(said)) == (1, 40)
    assert "among events 40 to 59" in said

    leaves = [
        bytes.fromhex(line[line.rfind(b'"index"') - 66 :][:64].decode()) for line in path.read_bytes().splitlines()
    ]
    note = chain.sign(chain.Checkpoint(make.ORIGIN, 60, chain.root_of(leaves)), Ed25519PrivateKey.generate())
    record.anchor.write_text(note + "\n")
    status, said = record.verify(path)
    assert (status, _index(said)) == (1, 59)
    assert "not signed by this key" in said


def test_an_anchor_without_any_checkpoint_of_ours_proves_nothing(record: make.Archive) -> None:
    note = chain.sign(chain.Checkpoint("another/log", 0, chain.EMPTY_ROOT), Ed25519PrivateKey.generate())
    record.anchor.write_text(note + "\n")

    assert record.verify()[0] == 1


def test_an_old_checkpoint_is_found_when_freshness_is_asked_for(record: make.Archive) -> None:
    head = chain.Checkpoint(make.ORIGIN, 60, _root(record), "2026-01-01T00:00:00Z")
    record.anchor.write_text(chain.sign(head, record.key) + "\n")

    assert record.verify()[0] == 0
    assert record.verify(None, "--max-age", "60")[0] == 1


def test_two_roots_signed_for_one_size_are_found(record: make.Archive) -> None:
    other = chain.sign(chain.Checkpoint(make.ORIGIN, 40, chain.EMPTY_ROOT, "2026-01-01T00:00:00Z"), record.key)
    record.anchor.write_text(record.anchor.read_text() + other + "\n")

    status, said = record.verify()
    assert status == 1
    assert "two different roots" in said


def _root(record: make.Archive) -> bytes:
    heads = verify.read_heads(record.anchor.read_text(), verify.parse_key(record.vkey), verify.Report())
    return heads[-1].root


@pytest.mark.parametrize("line", [b"", b"{}\n", b'{"body":1,"hash":"x","index":0}\n', b"nonsense\n"], ids=repr)
def test_what_is_no_export_cannot_be_used(record: make.Archive, line: bytes) -> None:
    path = record.folder / "export.jsonl"
    path.write_bytes(line)

    assert record.verify(path)[0] == (1 if line == b"" else 2)  # an empty export is a truncated one


def test_a_missing_file_and_a_bad_key_cannot_be_used(record: make.Archive) -> None:
    assert record.verify(record.folder / "absent")[0] == 2
    command: list[str | Path] = [
        sys.executable,
        verify.__file__,
        record.export(),
        "--checkpoint",
        record.anchor,
        "--key",
        "x+00000000+AA==",
    ]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 2


def test_a_producer_that_was_ended_by_a_marker_must_have_what_it_surely_wrote() -> None:
    def line(index: int, producer: str, sequence: int, action: str, detail: object) -> bytes:
        said = {"producer": producer, "sequence": sequence, "action": action, "detail": detail}
        body = chain.canonical(said)
        return b'{"body":%s,"hash":"%s","index":%d}\n' % (body, chain.leaf_hash(body).hex().encode(), index)

    ended = {"producer": "old", "committed": 2, "attempted": 3}
    whole = [line(0, "old", 1, "a.b", {}), line(1, "old", 2, "a.b", {}), line(2, "new", 1, "producer.ended", ended)]
    head = verify.Head(0, b"", "")
    assert verify.verify(whole, [head], verify.Report()).events == 3

    with pytest.raises(verify.TamperedError) as found:
        verify.verify([whole[0], line(1, "new", 1, "producer.ended", ended)], [head], verify.Report())
    assert found.value.index == 1


def test_the_verifier_runs_alone_and_without_the_fast_reader(record: make.Archive) -> None:
    alone = record.folder / "alone.py"
    alone.write_text(Path(verify.__file__).read_text().replace("import msgspec", "raise ImportError"))
    arguments: list[str | Path] = [record.export(), "--checkpoint", record.anchor, "--key", record.vkey]
    arguments += ["--columns", record.columns()]
    done = subprocess.run(
        [sys.executable, "-I", alone, *arguments], cwd="/", env={}, check=False, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


COLUMNS = {
    "action": "'grant.revoked'",
    "links": "'{grant:2}'",
    "links ": "array_append(links, 'grant:2')",
    "links  ": "'{}'",
    "trace": "'another'",
}


def test_a_column_that_says_another_thing_than_its_body_is_found(record: make.Archive) -> None:
    for sequence, (column, value) in zip((58, 48, 38, 28, 18), COLUMNS.items(), strict=True):
        make.tamper(f"UPDATE events SET {column} = {value} WHERE sequence = {sequence}")  # noqa: S608 - ours
        status, said = record.verify(None, "--columns", str(record.columns()))
        assert (status, _index(said)) == (1, sequence - 1)
        assert f"the database finds event {sequence - 1} by {column.strip()} " in said
    assert record.verify()[0] == 0  # the leaves cover the bodies alone


def test_columns_of_another_export_cannot_be_used(record: make.Archive) -> None:
    path = record.columns()
    lines = path.read_bytes().splitlines(keepends=True)
    for wrong in (lines[:30], lines[1:], [b"{}\n", *lines], [b"[]\n", *lines[1:]], []):
        path.write_bytes(b"".join(wrong))
        status, said = record.verify(None, "--columns", str(path))
        assert (status, said.startswith("UNUSABLE: line ")) == (2, True), said


def test_a_session_and_the_person_acted_for_find_an_event(archive: make.Archive) -> None:
    with context.acting(session="s1", on_behalf_of=make.ANA, trace="t1"):
        make.event()
    with transaction.atomic():
        log.record(Action.REFUSED, by=context.SYSTEM)
    archive.seal()
    status, said = archive.verify(None, "--columns", str(archive.columns()))
    assert (status, said[:7]) == (0, "PROVEN:")


def test_one_command_verifies_the_installation(record: make.Archive) -> None:
    (record.folder / "seal.vkey").write_text(record.vkey)
    names = {"ANCHOR_FILE": str(record.anchor), "SEAL_KEY_FILE": str(record.folder / "seal.pem")}
    command = [sys.executable, "manage.py", "verify_record", "--max-age", "60"]

    def run() -> int:
        done = subprocess.run(command, cwd=make.ROOT, env={**os.environ, **names}, check=False)
        return done.returncode

    assert run() == 0
    make.tamper("UPDATE events SET action = 'grant.revoked' WHERE sequence = 31")
    assert run() == 1
