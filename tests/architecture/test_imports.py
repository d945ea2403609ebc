import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import tree


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run([program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(tree.ROOT / "pyproject.toml", tmp_path)
    for top in (*tree.PRODUCTS, "scripts"):
        shutil.copytree(tree.ROOT / top, tmp_path / top, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_imports_go_down_and_every_module_has_its_place() -> None:
    linted = _lint(tree.ROOT)
    assert linted.returncode == 0, linted.stdout


def test_a_module_without_a_place_fails(copy: Path) -> None:
    (copy / "audit/unplaced.py").touch()
    linted = _lint(copy)
    assert linted.returncode != 0
    assert "unplaced" in linted.stdout


@pytest.mark.parametrize(
    ("module", "upward"),
    [("audit/clock.py", "entitlements.errors"), ("entitlements/feed/locks.py", "scripts.devstack")],
)
def test_an_import_upward_fails(copy: Path, module: str, upward: str) -> None:
    with (copy / module).open("a") as source:
        source.write(f"\nimport {upward}\n")
    assert _lint(copy).returncode != 0


def test_the_edge_touches_no_connection_of_django() -> None:
    rooms = ("entitlements/edge/", "entitlements/gateway/", "entitlements/node/", "entitlements/node_feed/")
    asked = {
        name
        for name, module, _ in tree.modules("entitlements")
        if name.startswith(rooms) and not name.endswith("/models.py")
        for node in ast.walk(module)
        if (isinstance(node, ast.ImportFrom) and str(node.module).startswith("django.db"))
        or (isinstance(node, ast.Import) and any(each.name.startswith("django.db") for each in node.names))
    }
    assert asked == set()
