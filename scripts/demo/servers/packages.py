"""The packages of the demo's local servers: for each a folder with the server, all it needs, and how it begins.

They are made anew for each run from what is installed here, and a command pins them by their digest.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from entitlements.stdio import package
from entitlements.stdio.sandbox import confine

BEGINNING = Path(__file__).with_name("local_server.py")
SERVERS = {
    "time": ("mcp-server-time", "mcp_server_time", ["--local-timezone", "UTC"]),
    "git": ("mcp-server-git", "mcp_server_git", ["--repository", "repository"]),
}
"""Of each sample system: its distribution, its module, and its arguments. Paths are below the scratch folder."""
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Mandate demo"), ("EMAIL", "demo@example.com"))
}
_FROM_THE_SYSTEM = ("/usr/", "/bin/")


@dataclass(frozen=True)
class Packages:
    """The packages of one run. `folder` is removed with it."""

    folder: Path
    samples: Mapping[str, Mapping[str, Any]]


def make(run: Path, repository: Path, earlier: str | None = None) -> Packages:
    """Make a package for each sample system. `run`: the folder of this run; `repository`: what the git server serves.

    As root children are other users, who do not reach a folder that is private: then they lie among temporary files.
    `earlier` is where they lay in an earlier run of this world, whose commands name it; no other account may have it.
    """
    is_root = os.geteuid() == 0
    if earlier:
        folder = Path(earlier)
        folder.mkdir()
    elif is_root:
        folder = Path(tempfile.mkdtemp(prefix="mandate-demo-"))
    else:
        folder = run / "packages"
        folder.mkdir()
    folder.chmod(0o755)
    samples = {}
    for slug, (distribution, module, arguments) in SERVERS.items():
        made = folder / slug
        for each in _needed(distribution, {}).values():
            _copy_files(each, made / "site")
        shutil.copyfile(BEGINNING, made / "serve.py")
        if slug == "git":
            shutil.copytree(repository, made / "repository")
        python = _interpreter(made)
        _close(made)
        samples[slug] = {
            "folder": str(made),
            "digest": package.digest(str(made)),
            "argv": [python, "-I", f"{package.PLACE}/serve.py", module, *arguments],
            "env": IDENTITY if slug == "git" else {},
        }
    return Packages(folder, samples)


def lacking() -> list[str]:
    """Return the layers of the sandbox that do not work on this machine."""
    return sorted(confine.missing(is_root=os.geteuid() == 0, has_network=False))


def _needed(name: str, found: dict[str, metadata.Distribution]) -> dict[str, metadata.Distribution]:
    """Return a distribution and all that it needs here, by name."""
    if name not in found:
        found[name] = metadata.distribution(name)
        for text in found[name].requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                _needed(requirement.name.lower().replace("_", "-"), found)
    return found


def _copy_files(distribution: metadata.Distribution, site: Path) -> None:
    for file in distribution.files or []:
        if ".." not in file.parts and file.suffix != ".pyc":
            place = site / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), place)


def _interpreter(made: Path) -> str:
    """Return the Python that runs the server: the operating system's, or one that lies in the package."""
    here, base = Path(sys.executable).resolve(), Path(sys.base_prefix).resolve()
    if str(here).startswith(_FROM_THE_SYSTEM):
        return str(here)
    if sys.platform == "linux":
        shutil.copytree(base, made / "python", symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "test"))
        return f"{package.PLACE}/python/{here.relative_to(base)}"
    (made / "python").symlink_to(here)
    return f"{package.PLACE}/python"


def _close(made: Path) -> None:
    """Let nobody but their owner write to the files, and everybody read them."""
    for path in _below(made):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _below(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")
