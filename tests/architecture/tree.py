"""The files of the project, as its tests of architecture see them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCTS = ("audit", "entitlements", "governance")
CODE = (*PRODUCTS, "scripts", "tests")


def files() -> list[Path]:
    """Return every file that is, or is about to be, part of the project."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in names if (path := ROOT / name).is_file()]


def modules(*tops: str) -> Iterator[tuple[str, ast.Module, str]]:
    """Yield name, tree and text of each Python file below `tops`, without what makemigrations writes."""
    for path in files():
        name = path.relative_to(ROOT)
        if path.suffix == ".py" and name.parts[0] in tops and "migrations" not in name.parts:
            text = path.read_text(encoding="utf-8")
            yield str(name), ast.parse(text), text


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function, however deep."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
