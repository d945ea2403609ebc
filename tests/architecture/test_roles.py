"""Inside a floor a file's name says its role, and roles import each other in one direction."""

import tomllib

import grimp
import pytest

from tests.architecture import tree

ROLES = ("rules", "models", "facts", "actions", "queries", "doors")
"""From the lowest to the highest; a module with none of these names is an action, named for its verb."""
DOORS = {"pages", "api", "urls", "tasks", "admin", "commands"}
DECLARED = "actions"
"""The module of a room that declares its actions for both doors; a list below `audit` has the same name."""
DOOR_ROOMS = {
    *("governance.console", "governance.back_office", "governance.scim", "governance.cli"),
    *("entitlements.edge", "entitlements.oauth"),
}
"""Rooms that translate and call, whole."""

CONTRACTS = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
    "contracts"
]
PURE = {
    module
    for contract in CONTRACTS
    if contract["name"].startswith("Rules are pure")
    for module in contract["source_modules"]
}
EXCEPTIONS = {
    tuple(ignored.split(" -> "))
    for contract in CONTRACTS
    for ignored in contract.get("ignore_imports", ())
    if "*" not in ignored
}
"""What the layers of pyproject.toml leave out by name: queries that are laid out with the kit of their door."""


def role(module: str) -> str:
    """Return the role of a module in a room."""
    parts = module.split(".")
    if DOORS & set(parts[1:]) or parts[2:][-1:] == [DECLARED] or ".".join(parts[:2]) in DOOR_ROOMS:
        return "doors"
    if module in PURE or "rules" in parts[2:]:
        return "rules"
    return next((each for each in ("queries", "facts", "models") if each in parts[1:]), "actions")


def upward(graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    """Return the imports of a higher role by a lower one. What stands directly on a floor serves all its rooms."""
    return {
        (module, imported)
        for module in graph.modules
        if module.count(".") > 1
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.partition(".")[0] == module.partition(".")[0]
        if imported.count(".") > 1 or role(imported) == "doors"
        if ROLES.index(role(imported)) > ROLES.index(role(module))
    }


def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*tree.PRODUCTS, cache_dir=None)


def test_roles_import_lower_roles_and_nothing_imports_a_door() -> None:
    assert upward(graph()) - EXCEPTIONS == set()


@pytest.mark.parametrize("floor", ["entitlements", "governance"])
def test_the_rows_of_a_floor_are_imported_from_their_rooms(floor: str) -> None:
    assert graph().find_modules_that_directly_import(f"{floor}.models") <= {f"{floor}.admin"}


def test_each_exception_is_still_one() -> None:
    assert EXCEPTIONS - upward(graph()) == set()


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("governance.requests.rules", "governance.requests.models"),
        ("governance.requests.facts", "governance.requests.approve"),
        ("governance.requests.approve", "governance.requests.queries"),
        ("governance.requests.queries", "governance.requests.pages.edit"),
        ("governance.requests.approve", "governance.requests.api"),
    ],
)
def test_an_import_of_a_higher_role_is_found(module: str, imported: str) -> None:
    small = grimp.ImportGraph()
    small.add_import(importer=module, imported=imported)
    assert upward(small) == {(module, imported)}
