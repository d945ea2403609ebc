"""The pages that lead through the code name files that exist."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.architecture import tree

PAGES: Final = ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/threat-model.md", "docs/glossary.md")
NAMED: Final = re.compile(
    r"`([\w./-]+\.(?:py|sql|html|js|css)|(?:audit|entitlements|governance|tests|scripts)/[\w./-]*/)`"
)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_files_and_folders_that_exist(page: str) -> None:
    files = [path.relative_to(tree.ROOT) for path in tree.files()]
    known = {*files, *(folder for path in files for folder in path.parents)}
    ends = {"/".join(path.parts[start:]) for path in known for start in range(len(path.parts))}
    named = {name.rstrip("/") for name in NAMED.findall((tree.ROOT / page).read_text())}
    assert sorted(named - ends) == []
