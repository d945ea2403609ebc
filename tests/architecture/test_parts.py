"""The table of parts leaves no file out, and a changed file runs the parts that are about it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import parts
from tests.architecture import tree
from tests.parts import CPU_SECONDS, QUARTERS, Part, Table

ABOUT = (
    *(
        "audit/",
        "entitlements/",
        "governance/",
        "scripts/",
        "templates/",
        "static/",
        "deploy/",
        "docs/",
        "requirements/",
    ),
    *("docker-compose.yml", "Dockerfile", "manage.py", "pyproject.toml"),
)
LONGEST_PART = 720


def part(name: str, seconds: int = 10) -> Part:
    return Part(name, (f"tests/{name}/",), (f"{name}/",), seconds)


def table(*names: str, turn: int = 0, seconds: int = 10) -> Table:
    return Table(turn, ("old", "new"), (), tuple(part(name, seconds) for name in names))


def test_each_file_of_the_product_is_what_some_part_is_about() -> None:
    names = [path.relative_to(tree.ROOT).as_posix() for path in tree.files()]
    files = tuple(prefix for each in parts.table().parts for prefix in each.files)
    assert [name for name in names if name.startswith(ABOUT) and not name.startswith(files)] == []


def test_each_name_in_the_table_is_of_something() -> None:
    names = [path.relative_to(tree.ROOT).as_posix() for path in tree.files()]
    read = tomllib.loads(parts.TABLE.read_text())
    tests = [*read["smoke"], *(test for each in read["parts"].values() for test in each["tests"])]
    for test in tests:
        path, _, function = test.partition("::")
        assert path in names, test
        assert f"def {function.partition('[')[0]}(" in (tree.ROOT / path).read_text() if function else True, test
    for each in read["parts"].values():
        for name in each["files"]:
            assert any(file.startswith(tuple(parts.paths(name))) for file in names), name


def test_no_test_is_in_two_parts_and_none_takes_longer_than_a_part_may() -> None:
    of = parts.table()
    tests = [(each.name, test) for each in of.parts for test in each.tests]
    assert [
        (name, other) for name, test in tests for other, found in tests if name != other and test.startswith(found)
    ] == []
    assert [each.name for each in of.parts if each.seconds > LONGEST_PART] == []


def test_what_make_test_runs_of_a_part_is_a_test_of_a_part() -> None:
    of = parts.table()
    assert [name for name in of.smoke if not any(each.has(name) for each in of.parts)] == []


def test_a_changed_file_runs_the_parts_that_are_about_it_and_a_changed_test_its_own() -> None:
    of = table("web", "edge", "mail", "chat")
    assert parts.chosen(of, ["edge/door.py"])[0] == [part("edge")]
    assert parts.chosen(of, ["tests/mail/test_mail.py"])[0] == [part("mail")]
    assert parts.chosen(of, ["elsewhere/door.py"])[0] == []


def test_every_part_has_its_turn_in_four_landings() -> None:
    names = ("web", "edge", "mail", "chat", "chart", "compose")
    ran = [each.name for turn in range(QUARTERS) for each in parts.chosen(table(*names, turn=turn), [])[1]]
    assert sorted(set(ran)) == sorted(names)


def test_what_there_is_no_time_for_is_named() -> None:
    of = table("web", "edge", "mail", "chat", seconds=CPU_SECONDS // 2)
    touched, turn, left = parts.chosen(of, ["web/a.py", "edge/a.py", "mail/a.py", "chat/a.py"])
    assert (len(touched), turn, len(left)) == (2, [], 2)


@pytest.mark.parametrize(
    ("red", "recent", "status", "line"),
    [
        ({"tests/web/test_a.py::test_b"}, [], 0, "ROTATION RED web tests/web/test_a.py::test_b"),
        ({"tests/web/test_a.py::test_b"}, ["web/views.py"], 1, "RED tests/web/test_a.py::test_b"),
        ({"web"}, ["web/views.py"], 1, "RED web"),
        (set(), [], 0, ""),
    ],
)
def test_a_red_part_whose_turn_it_is_stops_a_landing_only_for_files_changed_in_the_last_four(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    red: set[str],
    recent: list[str],
    status: int,
    line: str,
) -> None:
    monkeypatch.delenv("CI_BASE", raising=False)
    monkeypatch.setattr(parts, "table", lambda: table("web", "edge", "mail", "chat"))
    monkeypatch.setattr(parts, "changed_since", {"old": recent, "new": []}.__getitem__)
    monkeypatch.setattr(parts, "run", lambda _parts: red)
    monkeypatch.setattr(parts, "run_touched", lambda _changed: set())
    assert parts.main() == status
    assert line in capsys.readouterr().out


def test_a_red_part_that_the_changed_files_touch_stops_the_landing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_BASE", "new")
    monkeypatch.setattr(parts, "table", lambda: table("web", "edge", "mail", "chat"))
    monkeypatch.setattr(parts, "changed_since", {"old": [], "new": ["chat/a.py"]}.__getitem__)
    monkeypatch.setattr(parts, "run_touched", lambda _changed: set())
    monkeypatch.setattr(parts, "run", lambda of: {"tests/chat/test_a.py::test_b"} if part("chat") in of else set())
    assert parts.main() == 1


def test_a_dear_test_that_the_changed_files_touch_stops_the_landing_if_it_is_red(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI_BASE", "new")
    monkeypatch.setattr(parts, "table", lambda: table("web"))
    monkeypatch.setattr(parts, "changed_since", {"old": [], "new": ["chat/a.py"]}.__getitem__)
    monkeypatch.setattr(parts, "run", lambda _parts: set())
    monkeypatch.setattr(parts, "run_touched", set)  # the changed files themselves, as if each was a red test
    assert parts.main() == 1
    assert "RED chat/a.py" in capsys.readouterr().out


CONFTEST = """
from tests import parts
from tests.parts import pytest_addoption

parts.times = lambda: {"tests/entitlements/agents/test_a.py::test_dear": 3.0}
parts._number = lambda name: parts.table().turn + name.endswith("[later]")

def pytest_configure(config):
    parts.mark_whole(config)

def pytest_collection_modifyitems(config, items):
    parts.deselect(config, items)
"""
TESTS = """
import pytest

@pytest.mark.parametrize("row", ["now", "later"])
def test_dear(row):
    pass

def test_other():
    pass
"""
DEAR = "tests/entitlements/agents/test_many.py::test_each"
ROWS = [f"{DEAR}[{number}]" for number in range(30)]


@pytest.fixture
def dear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "times", lambda: {DEAR: 3.0, "tests/attacks/test_a.py::test_all": 2.0})
    monkeypatch.delenv(parts.WHOLE, raising=False)
    monkeypatch.delenv(parts.CHANGED, raising=False)


def ran(monkeypatch: pytest.MonkeyPatch, turn: int, tests: list[str]) -> list[str]:
    monkeypatch.setattr(parts, "table", lambda: table("web", turn=turn))
    return [test for test in tests if not parts.is_left_out(test)]


@pytest.mark.usefixtures("dear")
def test_each_row_of_a_dear_test_runs_once_in_four_landings_and_any_other_test_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(parts.WHOLE, "1")
    quarters = [ran(monkeypatch, turn, ROWS) for turn in range(QUARTERS)]
    assert sorted(row for quarter in quarters for row in quarter) == sorted(ROWS)
    assert all(quarters)
    other = ["tests/entitlements/agents/test_many.py::test_other"]
    assert ran(monkeypatch, 0, other) == ran(monkeypatch, 1, other) == other


@pytest.mark.usefixtures("dear")
def test_a_run_of_named_tests_or_of_everything_leaves_no_dear_test_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ran(monkeypatch, 0, ROWS) == ROWS


@pytest.mark.usefixtures("dear")
@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ("entitlements/agents/models.py", True),
        ("templates/console/agents/page.html", True),
        ("tests/entitlements/agents/test_many.py", True),
        ("entitlements/people/models.py", False),
    ],
)
def test_a_changed_file_runs_the_rows_of_its_room_that_had_no_turn(
    monkeypatch: pytest.MonkeyPatch, changed: str, *, runs: bool
) -> None:
    monkeypatch.setenv(parts.WHOLE, "1")
    had = ran(monkeypatch, 0, ROWS)
    monkeypatch.setenv(parts.WHOLE, "")
    monkeypatch.setenv(parts.CHANGED, f"README.md\n{changed}")
    assert ran(monkeypatch, 0, ROWS) == ([row for row in ROWS if row not in had] if runs else [])


@pytest.mark.usefixtures("dear")
def test_what_is_dear_and_about_no_room_runs_before_every_landing(monkeypatch: pytest.MonkeyPatch) -> None:
    tests = ["tests/attacks/test_a.py::test_all"]
    monkeypatch.setenv(parts.WHOLE, "1")
    had = ran(monkeypatch, 0, tests)
    monkeypatch.setenv(parts.WHOLE, "")
    monkeypatch.setenv(parts.CHANGED, "README.md")
    assert ran(monkeypatch, 0, tests) + had == tests


@pytest.mark.parametrize(
    ("option", "runs"),
    [
        ("", ["test_dear[now]", "test_other"]),
        ("--touched", ["test_dear[later]"]),
        ("--full", ["test_dear[now]", "test_dear[later]", "test_other"]),
        ("tests/entitlements/agents/test_a.py", ["test_dear[now]", "test_dear[later]", "test_other"]),
    ],
)
def test_make_test_what_a_change_touches_and_make_full_together_run_each_row(
    tmp_path: Path, option: str, runs: list[str]
) -> None:
    (tmp_path / "tests/entitlements/agents").mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "tests/entitlements/agents/test_a.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *option.split()],
        cwd=tmp_path,
        env={
            "PYTHONPATH": f"{parts.ROOT}",
            "PATH": "/usr/bin:/bin",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            **({parts.CHANGED: "entitlements/agents/models.py"} if option == "--touched" else {}),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line] == runs, done.stdout


@pytest.mark.parametrize(
    "test",
    [
        "tests/architecture/test_shape.py::test_files_are_short",
        "tests/governance/console/test_visits.py::test_everybody_has_visited_every_page_that_can_be_looked_at",
        parts.table().smoke[0],
    ],
)
def test_what_judges_every_file_walks_by_turns_or_is_a_smoke_test_has_no_turn(
    monkeypatch: pytest.MonkeyPatch, test: str
) -> None:
    monkeypatch.setattr(parts, "times", lambda: {parts.function(test): 9.0})
    assert not parts.is_dear(test)


def test_what_is_listed_with_its_time_exists() -> None:
    listed = tomllib.loads(parts.TIMES.read_text())
    for test in listed["seconds"]:
        path, _, function = test.partition("::")
        assert f"def {function.rpartition('::')[2]}(" in (tree.ROOT / path).read_text(), test
    assert all((tree.ROOT / path).is_file() for path in listed["walks"])


def test_the_landings_of_the_table_are_commits_of_this_history() -> None:
    if (Path(tree.ROOT) / ".git").exists():
        assert all(parts.changed_since(commit) is not None for commit in parts.table().landings)
