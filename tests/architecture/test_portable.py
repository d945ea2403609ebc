import re

import pytest

from tests.architecture import tree

# Written in pieces, so that this file does not find itself.
REGISTRIES = "|".join(
    [r"pypi\." + "org/simple", r"files\.python" + r"hosted\.org", r"registry\.npm" + "js", r"proxy\.go" + r"lang\.org"]
)
OPTIONS = "|".join(["--(extra-)?index" + "-url", "--find" + "-links", "--trusted" + "-host", "PIP_INDEX" + "_URL="])
PATHS = "|".join([r"/root" + "/", r"/ho" + r"me/[a-z]", r"/wo" + r"rk/(main|shared)", r"/Use" + r"rs/[a-z]"])
TIED_TO_ONE_PLACE = re.compile(f"{REGISTRIES}|{OPTIONS}|{PATHS}")


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = []
    for path in tree.files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(tree.ROOT)}:{at}" for at, line in enumerate(lines, 1) if TIED_TO_ONE_PLACE.search(line)
        ]
    assert found == []


@pytest.mark.parametrize("line", ["--find" + "-links /x", "cd /wo" + "rk/main", "https://pypi." + "org/simple"])
def test_the_guard_sees_what_it_guards_against(line: str) -> None:
    assert TIED_TO_ONE_PLACE.search(line)
