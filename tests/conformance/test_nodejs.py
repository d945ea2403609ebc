"""Where the packages of Node.js cannot be had, their tests say why they are skipped; a wrong package is a failure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.browser import audits
from tests.conformance import nodejs


def test_without_a_registry_the_reason_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    reason = nodejs.install(nodejs.program(), nodejs.SOURCE, tmp_path / "made")
    assert reason.startswith("the npm registry cannot be reached: ")
    assert not (tmp_path / "made").exists()


def test_who_comes_second_is_told_the_reason_and_asks_no_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr("tests.architecture.tree.ROOT", tmp_path)
    asked: list[Path] = []

    def install(_node: Path, _source: Path, folder: Path) -> str:
        asked.append(folder)
        return "it is away"

    monkeypatch.setattr(nodejs, "install", install)
    with pytest.raises(AssertionError, match="no test of this place"):
        nodejs.modules(tmp_path)
    for _ in range(2):
        nodejs.prepare(tmp_path)
    with pytest.raises(pytest.skip.Exception, match="it is away"):
        nodejs.modules(tmp_path)
    assert len(asked) == 1
    monkeypatch.setattr(nodejs, "ASKED_AGAIN", 0)
    nodejs.prepare(tmp_path)
    assert len(asked) == 2


def test_packages_that_are_not_those_of_the_lock_are_a_failure(tmp_path: Path) -> None:
    nodejs.modules()  # or there is no registry
    source = tmp_path / "source"
    shutil.copytree(nodejs.SOURCE, source)
    lock = json.loads((source / "package-lock.json").read_text())
    kept = {"": {**lock["packages"][""], "dependencies": {"jose": "*"}}}
    kept["node_modules/jose"] = {**lock["packages"]["node_modules/jose"], "integrity": "sha512-" + "A" * 86 + "=="}
    (source / "package.json").write_text(json.dumps({"name": lock["name"], "dependencies": {"jose": "*"}}))
    (source / "package-lock.json").write_text(json.dumps({**lock, "packages": kept}))
    with pytest.raises(AssertionError, match="EINTEGRITY"):
        nodejs.install(nodejs.program(), source, tmp_path / "made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("lock_file", [nodejs.SOURCE / "package-lock.json", audits.SOURCE / "package-lock.json"])
def test_the_lock_names_a_digest_for_each_package_and_no_registry(lock_file: Path) -> None:
    lock = json.loads(lock_file.read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert [name for name, each in packages.items() if not each.get("integrity", "").startswith("sha512-")] == []
    assert [name for name, each in packages.items() if "resolved" in each] == []
