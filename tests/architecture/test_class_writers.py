"""Whatever writes the class of a tool is known here, with the test that it cannot lower it by one person."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from entitlements.definitions import tool_class
from tests.architecture import tree

_ATTACKS: Final = "tests/attacks/test_lower_classes.py"
_CLASSES: Final = "tests/entitlements/catalog/test_lower_classes.py"
_SEED: Final = ("tests/scripts/test_planted_facts.py", "def test_")
_FLEET: Final = ("tests/scripts/test_fleet.py", "def test_")
_NEW: Final = (_CLASSES, "test_a_new_tool_is_served_as_the_rules_propose_until_two_people_agree_on_less")
NO_TOOL: Final = ("", "writes no tool")
WRITERS: Final = {
    "entitlements/catalog/tools.py _approve": (_ATTACKS, '"the verb"'),
    "entitlements/catalog/actions.py approve": (_ATTACKS, '"the API"'),
    "entitlements/catalog/api/tools.py approval_of": (_ATTACKS, '"the API, many at once"'),
    "entitlements/catalog/move.py approve_unchanged": (_ATTACKS, '"a move to another address"'),
    "entitlements/catalog/new_tools.py store_suggestion": (_ATTACKS, '"a discovery of a milder definition"'),
    "entitlements/catalog/new_tools.py add_tools": (_CLASSES, "test_the_same_upstream_registered_again_begins_at"),
    "entitlements/catalog/new_tools.py _tool": (_ATTACKS, '"an import"'),
    "entitlements/catalog/discovery.py _save": (_ATTACKS, '"a tool that was gone and is back"'),
    "entitlements/catalog/class_proposals.py _put_in_force": (_CLASSES, "test_each_field_keeps_its_higher_value"),
    "entitlements/catalog/class_proposals.py highest_since": NO_TOOL,
    "entitlements/edge/issue.py issue": NO_TOOL,
    "governance/catalog/pages/systems.py approval": (_ATTACKS, '"the page of the tool"'),
    "governance/catalog/pages/triage.py approve_easy": _NEW,
    "governance/catalog/queries/triage.py easy": _NEW,
    "governance/approvals/rules.py judge_approval": NO_TOOL,
    "governance/console/doors.py post": NO_TOOL,
    "governance/request_changes/edit.py _write": NO_TOOL,
    "governance/requests/queries.py after_approval": NO_TOOL,
    "governance/requests/requests.py write_narrowed": NO_TOOL,
    "governance/sod/api/reclassification.py check": NO_TOOL,
    "governance/sod/api/reclassification.py check_proposal": NO_TOOL,
    "scripts/demo/data/backstory.py _system": _SEED,
    "scripts/demo/data/fleet.py _system": _FLEET,
    "scripts/demo/data/fleet.py _reviewed": _FLEET,
    **{f"scripts/demo/data/seed.py {name}": _SEED for name in ("approve_tools", "make_systems", "make_extra")},
}
"""By file and function: the test that names it. Quarantine, catalogue files and the triage come through the verb."""
_MAKES: Final = {"bulk_create", "bulk_update", "create", "get_or_create", "update_or_create"}


def test_each_writer_of_a_class_has_a_test_and_each_row_a_writer() -> None:
    found = {where for name, module, _ in tree.modules(*tree.PRODUCTS, "scripts") for where in _writers(name, module)}
    assert found == set(WRITERS)
    for file, name in set(WRITERS.values()) - {NO_TOOL}:
        assert name in (tree.ROOT / file).read_text(encoding="utf-8"), name


def test_no_statement_of_the_product_writes_tools_past_the_models() -> None:
    ours = [path for path in tree.files() if path.relative_to(tree.ROOT).parts[0] in tree.PRODUCTS]
    kept = [path for path in ours if path.suffix in {".py", ".sql"} and "migrations" not in path.parts]
    past = re.compile(r"(?:update(?: only)?|into)\s+entitlements_tool\b", re.IGNORECASE)
    assert [path for path in kept if past.search(path.read_text(encoding="utf-8"))] == []


def test_the_scan_sees_each_way_to_write() -> None:
    ways = (
        "tool.risk = 'low'",
        "setattr(tool, 'risk', 'low')",
        "Tool.objects.filter(pk=1).update(risk='low')",
        "tools.approve_tool(x, by=by)",
        "Tool(risk='low')",
        "tool.save(update_fields=['risk'])",
    )
    for way in ways:
        assert list(_writers("a.py", ast.parse(f"def f():\n    {way}"))) == ["a.py f"], way


def _writers(name: str, module: ast.AST, function: str = "") -> Iterator[str]:
    for node in ast.iter_child_nodes(module):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if _writes(node):
            yield f"{name} {inside}"
        yield from _writers(name, node, inside)


def _writes(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return isinstance(node.ctx, ast.Store) and node.attr in tool_class.FIELDS
    if not isinstance(node, ast.Call):
        return False
    text, named = ast.unparse(node), node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    if named == "setattr":
        return any(isinstance(each, ast.Constant) and each.value in tool_class.FIELDS for each in node.args[1:2])
    of_tools = re.search(r"\bTool\.objects", text) is not None
    return (
        named in {"Tool", "Approval", "approve_tool", "approve_tools"}
        or (named == "put" and "tool_class." in text)
        or (of_tools and named in _MAKES)
        or ((of_tools or named == "save") and named in {"save", "update"} and _mentions(node))
    )


def _mentions(node: ast.Call) -> bool:
    """Whether a call names a column of the class, as a keyword or among the fields that are saved."""
    texts = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
    return bool((texts | {each.arg for each in node.keywords}) & set(tool_class.FIELDS))
