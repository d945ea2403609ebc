"""A world is taken up again only where everything fits that made it."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts import devstack
from scripts.demo import kept

OPTIONS = ("ports", "nodes")


class Stack(dict[str, Any]):
    """A stack whose PostgreSQL is packed into an empty archive."""

    postgres = SimpleNamespace(pack=lambda archive: archive.touch())


def store(folder: Path, made: float) -> None:
    run = folder / "run"
    run.mkdir()
    (run / "anchor.txt").write_text("a checkpoint")
    stack = cast("devstack.Stack", Stack(SECRET_KEY="secret", KEY_ENCRYPTION_KEY="key"))
    kept.Kept(folder / "kept", OPTIONS).store(stack, run, {"out": "world.json"}, made)


def test_a_kept_world_is_for_its_owner_alone_and_comes_back_with_its_keys_and_files(tmp_path: Path) -> None:
    store(tmp_path, time.time())
    found = kept.Kept(tmp_path / "kept", OPTIONS)

    world = found.read()
    found.bring(tmp_path / "again")

    assert world is not None
    assert (world["keys"]["SECRET_KEY"], world["resources"]) == ("secret", {"out": "world.json"})
    assert (tmp_path / "again" / "anchor.txt").read_text() == "a checkpoint"
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == stat.S_IRWXU
    assert stat.S_IMODE((tmp_path / "kept" / "world").stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_a_world_of_other_options_other_code_or_another_week_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(tmp_path, time.time() - kept.LASTS)
    assert kept.Kept(tmp_path / "kept", OPTIONS).read() is None
    (tmp_path / "run" / "anchor.txt").unlink()
    (tmp_path / "run").rmdir()
    store(tmp_path, time.time())
    assert kept.Kept(tmp_path / "kept", ("other ports", "nodes")).read() is None
    monkeypatch.setattr(kept, "MADE_FROM", ("audit",))
    assert kept.Kept(tmp_path / "kept", OPTIONS).read() is None


def test_a_world_without_its_cluster_is_none(tmp_path: Path) -> None:
    store(tmp_path, time.time())
    found = kept.Kept(tmp_path / "kept", OPTIONS)
    found.cluster.unlink()
    assert found.read() is None
