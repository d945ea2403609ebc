"""Whether `make engine` ran on the files of the containers as they are now, or the limits say that it did not."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.architecture import tree
from tests.engine import last_run

NOT_SINCE: Final = "`make engine` has not run since `deploy/`, the Dockerfile or the compose file changed."


def test_the_containers_ran_as_they_are_or_the_limits_say_that_they_did_not() -> None:
    ran = last_run.recorded() == last_run.digest()
    limits = (tree.ROOT / "docs/limits.md").read_text(encoding="utf-8")
    assert ran is (NOT_SINCE not in limits), "run `make engine`, or say it in docs/limits.md, section Containers"


def test_a_change_of_a_file_or_its_name_is_another_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tree, "ROOT", tmp_path)
    (tmp_path / "deploy").mkdir()
    file = tmp_path / "deploy/Caddyfile"
    seen = {last_run.digest()}
    for text in ("a", "b"):
        file.write_text(text)
        seen.add(last_run.digest())
    file.rename(tmp_path / "Dockerfile")
    seen.add(last_run.digest())
    (tmp_path / "README.md").write_text("none of it")
    assert last_run.digest() in seen
    assert len(seen) == 4


def test_a_run_that_held_is_written_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(last_run, "RECORD", tmp_path / "last_run.txt")
    assert last_run.recorded() == ""
    last_run.record(last_run.digest())
    assert last_run.recorded() == last_run.digest()
