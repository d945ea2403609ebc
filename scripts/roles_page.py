"""The page of roles: who may ask for what, from the two matrices and the URLconf. Django must be set up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from django.urls import URLPattern, URLResolver, get_resolver

from entitlements.access import visibility
from entitlements.access.caller import SEE_EVERYTHING
from entitlements.people.models import Role
from entitlements.permissions.matrix import ALWAYS, WEIGHTY, Row
from governance.console import matrix, matrix_rows

if TYPE_CHECKING:
    from collections.abc import Callable

_SEEN: Final = (
    "agents",
    "grants",
    "sessions",
    "tokens",
    "clients",
    "systems",
    "tools",
    "entitlements",
    "people",
    "groups",
)
_PROOF: Final = {"": "", ALWAYS: "always", WEIGHTY: "high risk"}
_BACK_OFFICE: Final = {
    "back office": "admin/…",
    **{
        f"{page} {name}": f"admin/{page.removeprefix('admin:').removesuffix('_act').replace('_', '/')}/acts/… ({name})"
        for (page, _method), declared in matrix.OFFICE_ACTS.items()
        for name, _post in declared.asks
    },
}
_BACK_OFFICE_NOTE: Final = """It asks for a proof of who comes in that is at most five minutes old. Where it acts on
rows it asks the row of the API as well: a person with neither its role nor its relation is refused.
"""
_INTRO: Final = """# Who may do what

One row for each address and method of the API, of the console, and for the back office; an address without a row is
closed to everybody. A column is ticked where the role alone suffices. *By relation* names what a person may be to the
object instead (its sponsor, its owner, the owner of its system, the person it is about). *Everybody* is each signed-in
person; *What one sees* says what each finds there. A role that is limited to systems or departments counts
where *within a limit* is ticked, for what is within it (decision 91). *Scope* is what the token of a script or an agent
must carry; without one neither gets in, and an agent only reaches what is its own. Strangers reach nothing but the rows
marked *strangers*. *Proof* asks for a fresh one of who calls, always or where what is approved or kept is of high risk
(`docs/operate/scripts.md`).

Roles add up, and none includes another. Sponsors, owners and system owners are named on agents and systems; they need
no role. Who answers a request is no role either: each stage of its policy names the people.
"""


def text() -> str:
    """Return the page."""
    from entitlements.permissions.matrix import MATRIX as CATALOGUE  # noqa: PLC0415 - beside its sibling
    from governance.api.matrix import MATRIX as PROCESSES  # noqa: PLC0415 - as above

    routes = dict(_routes())
    pages = {key: page.row for key, page in {**matrix.SIGN_IN, **matrix.PAGES}.items()}
    parts = [
        _INTRO,
        "## API\n\n" + _table({**CATALOGUE, **PROCESSES}, routes),
        "## Console\n\n" + _table(pages, routes, scopes=False),
        "## Back office\n\n"
        + _table({("back office", "GET"): matrix.OFFICE.row, **_acts()}, _BACK_OFFICE, scopes=False),
        _BACK_OFFICE_NOTE,
        _sight(),
    ]
    return "\n".join(parts)


def _acts() -> dict[tuple[str, str], Row]:
    """Return a row for each act of the back office: the API's, for those who may come in."""
    return {
        (f"{page} {name}", method): replace(row, roles=row.roles & matrix.OFFICE.row.roles)
        for (page, _), declared in matrix.OFFICE_ACTS.items()
        for name, method in declared.asks
        for row in [matrix_rows.API[name, method]]
    }


def _table(rows: Mapping[tuple[str, str], Row], routes: Mapping[str, str], *, scopes: bool = True) -> str:
    head = [
        "address",
        "",
        *(str(role.label) for role in Role),
        "everybody",
        "by relation",
        "within a limit",
        *(["scope", "proof"] if scopes else []),
    ]
    lines = [_line(head), _line(["---"] * len(head))]
    for name, method in sorted(rows, key=lambda key: (routes.get(key[0], key[0]), key[1])):
        row = rows[name, method]
        who = "strangers" if row.public else "yes" if row.anybody else ""
        cells = [f"`/{routes.get(name, name)}`", method, *("x" if role in row.roles else "" for role in Role)]
        cells += [who, ", ".join(sorted(word.replace("_", " ") for word in row.related))]
        cells.append("x" if row.limitable else "")
        scope = " or ".join(
            f"`{name_of_scope}`" for name_of_scope in dict.fromkeys((row.scope, row.finer)) if name_of_scope
        )
        lines.append(_line([*cells, *([scope, _PROOF[row.proven]] if scopes else [])]))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _sight() -> str:
    """Say whose rows one sees, in the words of the functions that decide it."""
    kinds: dict[str, Callable[..., object]] = {name: getattr(visibility, name) for name in _SEEN}
    named = {role: str(role.label) for role in Role}
    all_of_it = ", ".join(sorted(named[Role(role)] for role in SEE_EVERYTHING))
    lines = "\n".join(f"- {(seen.__doc__ or '').strip().splitlines()[0]}" for seen in kinds.values())
    return (
        "## What one sees\n\nWhat a caller may not see is not found (404), on every page and at every endpoint, "
        f"as if it were not there. {all_of_it}, each within its limit, and scripts see all of the following, "
        f"everybody else\n\n{lines}\n"
    )


def _routes() -> Iterator[tuple[str, str]]:
    def walk(patterns: Iterable[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, str]]:
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, route)
            elif pattern.name:
                yield pattern.name, route

    return walk([pattern for pattern in get_resolver().url_patterns if "admin" not in str(pattern.pattern)], "")
