"""A sealer that waits keeps its own anchor, and says when the database is behind it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from audit import chain
from audit.seals import anchors, seal_key, seals, standby
from audit.seals.standby import Standby
from tests import waits
from tests.audit import make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection() -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Return a connection as the sealer's role."""
    with make.connect(os.environ["SEAL_DATABASE_URL"]) as connection:
        yield connection


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take each checkpoint as settled, and look each time."""
    monkeypatch.setattr(standby, "SETTLED", 0.0)
    monkeypatch.setattr(standby, "EVERY", 0.0)


@pytest.mark.usefixtures("at_once")
def test_an_anchor_of_its_own_gets_each_checkpoint_once(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    own = anchors.File(tmp_path / "own")
    waiting = Standby(connection, archive.key, [own])
    waiting.follow()
    assert own.last() == "", "nothing is sealed yet"
    for _ in range(2):
        make.events(3)
        archive.seal()
        waiting.follow()
        waiting.follow()

    assert anchors.split(own.path.read_text()) == anchors.split(archive.anchor.read_text())
    assert len(anchors.split(own.path.read_text())) == 2


@pytest.mark.usefixtures("at_once")
def test_a_shared_anchor_gets_nothing_twice_and_nothing_older(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    make.events(3)
    archive.seal()
    archive.sealer(connection).publish(heartbeat=True)
    before = archive.anchor.read_text()

    Standby(connection, archive.key, [anchors.File(archive.anchor)]).follow()

    assert archive.anchor.read_text() == before


def test_what_the_active_sealer_may_still_be_publishing_is_left_to_it(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    make.events(3)
    archive.seal()
    own = anchors.File(tmp_path / "own")
    Standby(connection, archive.key, [own]).follow()
    assert own.last() == ""


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("size", "problem"), [(4, "a restored backup"), (3, "disagree"), (2, "disagree")])
def test_a_database_that_is_behind_or_beside_its_anchor_stops_it(
    size: int, problem: str, archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    make.events(3)
    archive.seal()
    own = anchors.File(tmp_path / "own")
    own.publish(chain.sign(chain.Checkpoint(make.ORIGIN, size, chain.EMPTY_ROOT), archive.key))

    with pytest.raises(seals.RecordDamaged, match=problem):
        Standby(connection, archive.key, [own]).follow()


def test_an_anchor_that_has_seen_what_is_not_settled_yet_is_not_ahead_of_the_log(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    make.events(3)
    archive.seal()
    make.tamper("UPDATE checkpoints SET signed_at = signed_at - interval '1 minute'")
    make.events(2)
    archive.seal()
    before = archive.anchor.read_text()
    Standby(connection, archive.key, [anchors.File(archive.anchor)]).follow()
    assert archive.anchor.read_text() == before


@pytest.mark.usefixtures("at_once")
def test_what_an_anchor_has_of_the_name_before_a_restore_is_no_damage(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    make.events(3)
    archive.seal()
    own = anchors.File(tmp_path / "own")
    own.publish(chain.sign(chain.Checkpoint("before.example/record", 9, chain.EMPTY_ROOT), archive.key))
    Standby(connection, archive.key, [own]).follow()
    assert own.last() == anchors.File(archive.anchor).last()


@pytest.mark.usefixtures("at_once")
def test_an_anchor_out_of_reach_ends_nothing(
    archive: make.Archive, connection: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    make.events(3)
    archive.seal()
    own = anchors.File(tmp_path / "own")
    Standby(connection, archive.key, [anchors.File(tmp_path / "nowhere" / "anchor"), own]).follow()
    assert own.last()


def test_a_process_that_waits_follows(connection: psycopg.Connection[tuple[object, ...]], tmp_path: Path) -> None:
    """It finds its anchor beyond the log that another sealer goes on with, and stops with the status of damage."""
    key, own = tmp_path / "seal.pem", anchors.File(tmp_path / "own")
    archive = make.Archive(tmp_path, seal_key.create(key, make.ORIGIN))
    make.events(3)
    archive.seal()
    archive.sealer(connection)
    make.tamper("UPDATE checkpoints SET signed_at = signed_at - interval '1 minute'")
    own.publish(chain.sign(chain.Checkpoint(make.ORIGIN, 4, chain.EMPTY_ROOT), archive.key))
    places = {"ANCHOR_FILE": str(own.path), "SEAL_KEY_FILE": str(key)}

    done = subprocess.run(
        [sys.executable, "manage.py", "seal"], cwd=make.ROOT, env={**os.environ, **places},
        capture_output=True, text=True, check=False, timeout=waits.SECONDS,
    )  # fmt: skip

    assert (done.returncode, "a restored backup?" in done.stderr) == (3, True)
