import re
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture import tree

REQUIREMENTS = tree.ROOT / "requirements"


def _listed(name: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (REQUIREMENTS / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def _pinned() -> dict[str, str]:
    text = "".join((REQUIREMENTS / name).read_text() for name in ("dev.txt", "run.txt"))
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }


@pytest.mark.parametrize("bound", _listed("bounds.txt"), ids=lambda bound: bound.name)
def test_no_package_is_older_than_it_may_be(bound: Requirement) -> None:
    assert bound.specifier.contains(_pinned()[canonicalize_name(bound.name)])
    assert bound.specifier.contains(metadata.version(bound.name))


def test_each_package_we_ask_for_has_a_bound() -> None:
    asked = {canonicalize_name(package.name) for package in _listed("run.in")}
    assert asked - {canonicalize_name(bound.name) for bound in _listed("bounds.txt")} == set()


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "bench.txt"])
def test_every_pin_has_its_hashes(name: str) -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", (REQUIREMENTS / name).read_text())
    pins = [block for block in blocks if re.match(r"[\w.-]+==", block)]
    assert pins
    assert [block.partition("\n")[0] for block in pins if "--hash=sha256:" not in block] == []
