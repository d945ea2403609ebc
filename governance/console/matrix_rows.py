"""How the rows of the console's matrix are written: most pages are like a row of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from entitlements.permissions.matrix import ALWAYS, Matrix, Row
from entitlements.permissions.matrix import MATRIX as CATALOGUE
from governance.api.matrix import MATRIX as PROCESSES

API: Final[Matrix] = {**CATALOGUE, **PROCESSES}
"""Every row of the API."""


@dataclass(frozen=True, slots=True)
class Page:
    """Who may come in with one method, and which rows of the API the page asks about its object."""

    row: Row
    asks: frozenset[tuple[str, str]] = frozenset()


def like(*names: str, also: tuple[str, ...] = ()) -> Page:
    """Let in whom one of these rows of the API lets in: `agents`, or `agent PATCH`; `also` names rows it asks later.

    Where all of them demand step-up authentication, the door does; where only some do, the page does
    (`doors.require_reauthentication`).
    """
    keys = [_key(name) for name in names]
    rows = [API[key] for key in keys]
    union = Row(
        frozenset().union(*(api_row.roles for api_row in rows)),
        frozenset().union(*(api_row.related for api_row in rows)),
        anybody=any(api_row.anybody for api_row in rows),
        limitable=any(api_row.limitable for api_row in rows),
        proven=ALWAYS if all(api_row.proven == ALWAYS for api_row in rows) else "",
    )
    return Page(union, frozenset([*keys, *map(_key, also)]))


def _key(name: str) -> tuple[str, str]:
    address, _space, method = name.partition(" ")
    return address, method or "POST"


STRANGERS: Final = Page(Row(public=True))
"""Open without a sign-in."""
ONES_OWN: Final = Page(Row(anybody=True))
"""Every signed-in person, about themselves or about what they may see."""

type Pages = Mapping[tuple[str, str], Page]


def both(page: Page, *names: str) -> dict[tuple[str, str], Page]:
    """Return rows for a form and its POST; showing the form demands no step-up authentication."""
    form_page = replace(page, row=replace(page.row, proven=""))
    return {(name, method): page if method == "POST" else form_page for name in names for method in ("GET", "POST")}
