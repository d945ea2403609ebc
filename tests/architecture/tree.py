"""The files of the project, as its tests of architecture see them."""

import ast
import gc
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCTS = ("audit", "entitlements", "governance")
CODE = (*PRODUCTS, "scripts", "tests")
MADE_HERE = {
    *(".venv", ".venv-bench", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"),
    *("var", "staticfiles"),
}


def files() -> list[Path]:
    """Return every file that is, or is about to be, part of the project; in an unpacked archive, every file."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if (ROOT / ".git").exists() and listed.returncode == 0:
        return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]
    visible = (path for path in ROOT.rglob("*") if path.is_file())
    return [path for path in visible if not MADE_HERE & set(path.relative_to(ROOT).parts)]


def modules(*tops: str) -> Iterator[tuple[str, ast.Module, str]]:
    """Yield name, tree and text of each Python file below `tops`, without what makemigrations writes."""
    for path in files():
        name = path.relative_to(ROOT)
        if path.suffix == ".py" and name.parts[0] in tops and "migrations" not in name.parts:
            yield str(name), *_parsed(path)


def pages() -> list[Path]:
    """Return the modules that serve the console: its kit, and the pages of every room."""
    return [
        path
        for path in files()
        if path.suffix == ".py" and (parts := path.relative_to(ROOT).with_suffix("").parts)[0] == "governance"
        if "pages" in parts or parts[1] in {"console", "sign_in"}
    ]


@cache
def _parsed(path: Path) -> tuple[ast.Module, str]:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    gc.freeze()  # it is kept, and four million objects are not to be looked through for garbage
    return tree, text


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function, however deep."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
