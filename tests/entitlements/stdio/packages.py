"""A package of a small server, where other users than root can read it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from entitlements.stdio import package

PYTHON = "/usr/bin/python3"
ARGV = [PYTHON, "-I", "{package}/server.py", "first"]


SDK = {
    "_cffi_backend", "annotated_types", "anyio", "certifi", "click", "cryptography", "httpx2", "idna", "mcp",
    "mcp_types", "opentelemetry", "pydantic", "pydantic_core", "python_multipart", "sse_starlette", "starlette",
    "typing_extensions", "typing_inspection", "uvicorn", "watchfiles",
}  # fmt: skip
"""What a server of the official Python SDK imports."""


@contextlib.contextmanager
def asking() -> Iterator[Path]:
    """Make the folder of a server of the official SDK that asks its client, with all that it imports."""
    made = Path(tempfile.mkdtemp(prefix="stdio-package-"))
    try:
        shutil.copy(Path(__file__).with_name("asking_server.py"), made / "server.py")
        (made / "lib").mkdir()
        site = Path(str(metadata.distribution("mcp").locate_file("")))
        for path in site.iterdir():
            name = path.name.split(".")[0].lower()
            if name in SDK or (path.suffix == ".dist-info" and name.split("-")[0] in SDK):
                copy = shutil.copytree if path.is_dir() else shutil.copy
                copy(path, made / "lib" / path.name)
        for path in (made, *made.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield made
    finally:
        shutil.rmtree(made)


@contextlib.contextmanager
def small() -> Iterator[Path]:
    """Make the folder of the small server, until the block ends."""
    made = Path(tempfile.mkdtemp(prefix="stdio-package-"))
    try:
        made.chmod(0o755)
        shutil.copy(Path(__file__).with_name("server.py"), made / "server.py")
        (made / "server.py").chmod(0o644)
        yield made
    finally:
        shutil.rmtree(made)


def agreed(folder: Path, **others: object) -> dict[str, Any]:
    """Return the terms of the small server's command, as a proposal takes them."""
    return {
        "folder": str(folder),
        "argv": ARGV,
        "env": {"KIND": "test"},
        "digest": package.digest(str(folder)),
        "limits": {"grace_seconds": 0.3},
        **others,
    }
