"""Who may open which page here: rows of the console's matrix (`governance/console/matrix.py`)."""

from __future__ import annotations

from typing import Final

from entitlements.permissions.matrix import Row
from governance.console.matrix_rows import API, Page, Pages, both, like


def _by_role(method: str) -> Page:
    """Let in by a role alone: an owner comes by the page of a system."""
    key = ("system-policy-domain", method)
    return Page(Row(API[key].roles), frozenset((key, ("system-policy-domain", "PUT"))))


ROWS: Final[Pages] = {
    ("policy-domain-list", "GET"): _by_role("GET"),
    ("policy-domain-choose", "GET"): _by_role("PUT"),
    ("policy-domain-page", "GET"): like("system-policy-domain GET", also=("system-policy-domain PUT",)),
    **both(like("system-policy-domain PUT"), "policy-domain-load"),
}
