"""What is done over the API or on a page is declared once: both doors mount the same `Action`."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from entitlements.api.actions import Action
from entitlements.api.bulk import Bulk
from entitlements.api.resources import PerformEndpoint
from governance.console import matrix, matrix_rows
from tests.architecture import tree

type Key = tuple[str, str]

ALONE: Final = {
    "system-test": "a look",
    "openapi-preview": "a look",
    "campaign-preview": "a look",
    "campaign-bulk-preview": "a look",
    "simulate-reduction": "a look",
    "catalogue-plan": "a look",
    "catalogue-apply": "a whole file of the API alone",
    "key-rotate": "a key of the API alone",
    "key-withdraw": "a key of the API alone",
    "connector-enrol": "no person is signed in, and the code in the body permits it",
    "revocations": "the kind of what is revoked names the row that permits it",
    "drills": "as revocations",
}
"""Addresses of the API whose POST is no action of its own, and why."""


def declared() -> dict[Key, tuple[str, Action]]:
    """Return each declared action by the row that permits it, with the name of its variable."""
    found: dict[Key, tuple[str, Action]] = {}
    for path in sorted(tree.ROOT.glob("*/**/actions.py")):
        parts = path.relative_to(tree.ROOT).with_suffix("").parts
        if parts[0] not in ("entitlements", "governance") or parts == ("entitlements", "api", "actions"):
            continue
        for name, value in vars(importlib.import_module(".".join(parts))).items():
            for action in value.values() if isinstance(value, dict) and name.isupper() else [value]:
                if isinstance(action, Action):
                    known = found.setdefault((action.address, action.method), (name, action))
                    assert known[1] is action, f"{action.address} is declared twice"
    return found


def views(patterns: list[Any] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the name and the view of every address."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield pattern.name, pattern.callback


def unmounted(api: Mapping[str, type], actions: Mapping[Key, tuple[str, Action]]) -> list[str]:
    """Return the addresses of the API whose POST performs no declared action, or one of another address."""
    wrong = []
    for name, view in api.items():
        action = getattr(view, "action", None)
        several = issubclass(view, Bulk)
        if not isinstance(action, Action) or not issubclass(view, PerformEndpoint | Bulk):
            wrong.append(f"{name}: {view.__name__} performs no action")
        elif not several and action.address != name:
            wrong.append(f"{name}: {view.__name__} performs {action.address}")
        elif actions.get((action.address, action.method), ("", None))[1] is not action:
            wrong.append(f"{name}: its action stands in no actions.py")
    return wrong


def test_each_post_of_the_api_performs_a_declared_action() -> None:
    posted = {name for name, method in matrix_rows.API if method == "POST"}
    api = {name: view.view_class for name, view in views() if name in posted and hasattr(view, "view_class")}
    assert api.keys() == posted
    assert unmounted({name: view for name, view in api.items() if name not in ALONE}, declared()) == []


def test_each_address_that_stands_alone_is_still_one() -> None:
    actions = declared()
    assert ALONE.keys() <= {name for name, method in matrix_rows.API if method == "POST"}
    assert not [name for name in ALONE if (name, "POST") in actions]


def test_each_button_of_a_page_performs_what_the_api_performs() -> None:
    actions, wrong = declared(), []
    pages = dict(views())
    for (page, method), row in matrix.PAGES.items():
        for key in row.asks if method == "POST" else ():
            if key[1] == "GET" or key[0] in ALONE:
                continue
            variable, action = actions[key]
            mounted = getattr(pages[page], "action", None)
            text = "" if mounted else inspect.getsource(sys.modules[pages[page].__module__])
            if mounted is not action and not re.search(rf"\b{variable}\b", text):
                wrong.append(f"{page} asks the row {key[0]}, and does not mount {variable}")
    assert wrong == []


@pytest.mark.parametrize("of", ["another address", "no room"])
def test_an_action_that_is_not_declared_for_its_address_is_found(of: str) -> None:
    action = next(action for _name, action in declared().values())
    name = "elsewhere" if of == "another address" else action.address
    view = type("View", (PerformEndpoint,), {"action": action})
    assert len(unmounted({name: view}, {})) == 1
