"""What a person can set does something: each settable column is written, and read where it is more than shown.

Names stand for columns, within their room and the modules that name the model; columns of one name there are one.
So this finds a control that nothing reads, and not each one that is read for nothing.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Final

import pytest

from tests.architecture import tree

type Control = tuple[str, str]
"""A model and one of its columns."""
_FLOWS: Final = "written as one of the flow labels, by a table of their names; guardrails and SoD policies read them"
EXCEPTIONS: Final = {
    "AgentVersion.source": "says who saw the version, which the history of an agent shows",
    "Decoy.agents": "are rows of their own, by which one statement lists the decoy to each",
    "SavedView.query": "opens the list with it, which is a page",
    **dict.fromkeys(("Tool.reads_private", "Tool.ingests_untrusted", "Tool.egress_external"), _FLOWS),
}
"""The columns that no module but doors and pages reads, and why."""
NO_CONTROL: Final = {"id": "names what is meant", "reason": "is kept in the audit log, which is its effect"}
_DOORS: Final = {
    "actions",
    "admin",
    "api",
    "pages",
    "forms",
    "page_rows",
    "queries",
    "management",
    "console",
    "audit_log",
}
"""Where a value is taken in or shown; what happens elsewhere is an effect."""
_RECORDS: Final = {"record", "record_many", "Row", "changed"}
"""Calls that write to the audit log: what is only kept there has no effect."""
_CONDITIONS: Final = {"filter", "exclude", "get", "Q", "When"}
_INPUTS: Final = re.compile(r"(?:InputSerializer|Form)$")


def test_each_column_that_a_person_can_set_has_an_effect() -> None:
    sources = {name: module for name, module, _text in tree.modules(*tree.PRODUCTS)}
    statements = [
        path.read_text(encoding="utf-8")
        for path in tree.files()
        if path.suffix == ".sql" and path.relative_to(tree.ROOT).parts[0] in tree.PRODUCTS
    ]
    dead = {f"{model}.{column}" for model, column in _dead(sources, statements)}
    assert dead == set(EXCEPTIONS)


_PLANTED: Final = {
    "entitlements/lamps/models.py": "class Lamp(models.Model):\n    watts = models.IntegerField()",
    "entitlements/lamps/api.py": (
        "class LampInputSerializer(InputSerializer):\n    watts = serializers.IntegerField()\n"
        "def shown(lamp): return lamp.watts"
    ),
}
_WRITES: Final = "def make(watts): return Lamp.objects.create(watts=watts)\n"


@pytest.mark.parametrize(
    ("verb", "is_dead"),
    [
        ("", True),
        (_WRITES, True),
        (_WRITES + "def note(lamp): log.record(LIT, detail={'watts': lamp.watts})", True),
        ("def dim(lamp): return lamp.watts > 40", True),
        (_WRITES + "def dim(lamp): return lamp.watts > 40", False),
        (_WRITES + "def bright(): return Lamp.objects.filter(watts__gt=40)", False),
        (_WRITES + "BRIGHT = 'SELECT 1 FROM entitlements_lamp WHERE watts > 40'", False),  # noqa: S608 - a text
    ],
)
def test_a_control_that_is_not_written_or_only_shown_or_recorded_is_dead(verb: str, *, is_dead: bool) -> None:
    planted = {**_PLANTED, "entitlements/lamps/lamps.py": verb}
    sources = {name: ast.parse(text) for name, text in planted.items()}
    assert _dead(sources, []) == ({("Lamp", "watts")} if is_dead else set())


def _dead(sources: Mapping[str, ast.Module], statements: Iterable[str]) -> set[Control]:
    """Return the settable columns that no module of the product reads for more than show."""
    settable: dict[str, set[str]] = defaultdict(set)
    columns: dict[str, set[Control]] = defaultdict(set)
    for name, module in sources.items():
        for cls in (node for node in module.body if isinstance(node, ast.ClassDef)):
            if any(_INPUTS.search(word) for word in (cls.name, *map(_last, cls.bases))):
                settable[_room(name)] |= _fields(cls)
            if name.endswith("models.py"):
                columns[_room(name)] |= {(cls.name, column) for column in _fields(cls)}
    controls = {(m, c) for room, found in columns.items() for m, c in found if c in settable[room] - set(NO_CONTROL)}
    rooms = {model: room for room, found in columns.items() for model, _column in found}
    used: set[Control] = set()
    written: set[Control] = set()
    texts = list(statements)
    for name, module in sources.items():
        if _DOORS & {*PurePath(name).with_suffix("").parts} or "models" in name:
            continue
        nodes = list(ast.walk(module))
        mentioned = {_last(node) for node in nodes if isinstance(node, ast.Name | ast.Attribute)}
        if near := {(m, c) for m, c in controls if m in mentioned or rooms[m] == _room(name)}:
            writes = {word for node in nodes for word in _writes(node)}
            reads = {word for node in _walk(module) for word in _reads(node)}
            used |= {(m, c) for m, c in near if c in reads}
            written |= {(m, c) for m, c in near if {c, f"{c}_id"} & writes}
        texts += [text for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr) and (text := _text(node))]
    for text in texts:
        if tables := set(re.findall(r"\b(?:entitlements|governance)_(\w+)", text)):
            words = set(re.findall(r"[a-z_0-9]+", text))
            used |= {(m, c) for m, c in controls if m.lower() in tables and words & {c, f"{c}_id"}}
    return controls - (used & written)


def _fields(cls: ast.ClassDef) -> set[str]:
    assigned = (target for node in cls.body if isinstance(node, ast.Assign) for target in node.targets)
    return {target.id for target in assigned if isinstance(target, ast.Name)}


def _text(node: ast.AST) -> str:
    """Return a text of the code, with what is put into it left out."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return " ".join(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


def _room(name: str) -> str:
    """Return the folder that a file of any floor belongs to."""
    parts = PurePath(name).parts
    return parts[1] if len(parts) > 2 else ""


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below, without what goes to the audit log or to a text."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and _last(child.func) in _RECORDS:
            continue
        if isinstance(child, ast.Assign) and {_last(target) for target in child.targets} & {"detail"}:
            continue
        yield child
        yield from _walk(child)


def _writes(node: ast.AST) -> Iterator[str]:
    """Yield the names of columns that a node may write: by keyword, by attribute, or as a key of values."""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr
    if isinstance(node, ast.AnnAssign):  # the terms of an action, as a dataclass
        yield _last(node.target)
    if isinstance(node, ast.arg):  # ruff sees to it that each is used
        yield node.arg
    if isinstance(node, ast.Call) and _last(node.func) not in _CONDITIONS:
        yield from (each.arg for each in node.keywords if each.arg)
    if isinstance(node, ast.Dict | ast.Tuple | ast.List | ast.Set):
        keys = node.keys if isinstance(node, ast.Dict) else node.elts
        yield from (key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def _reads(node: ast.AST) -> Iterator[str]:
    """Yield the names of columns that a node reads: an attribute, or a condition of a query."""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        yield from (node.attr, node.attr.removesuffix("_id"))
    if isinstance(node, ast.Call) and _last(node.func) in _CONDITIONS:
        yield from (word for each in node.keywords if each.arg for word in each.arg.split("__"))
    if isinstance(node, ast.Call) and _last(node.func) in {"F", "values", "values_list", "order_by", "getattr"}:
        texts = (each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str))
        yield from (word for text in texts for word in text.lstrip("-").split("__"))
