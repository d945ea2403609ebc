"""Every page of the console, in a real browser, while everything that strangers may write is an attack."""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.sync_api import Dialog

from tests.browser.conftest import PASSWORD, Visitor, leave

pytestmark = pytest.mark.timeout(600)

FILES = (
    *("review-calendar", "review-csv", "review-json", "review-pack", "coverage-csv"),
    *("review-workpaper", "review-workpaper-json", "rollout-file", "posture-report-pdf"),
)
TABS: Final = {
    "agent-page": ("?tab=timeline", "?tab=tokens", "?tab=people", "?tab=versions", "?tab=reviews"),
    "system-page": ("?tab=entitlements", "?tab=timeline"),
    "grant-page": ("?prove",),
    "receipt": ("?prove",),
    "search": ("?q=now",),
    "audit": ("?about=agent:research-bot",),
    "ask": ("?agent=research-bot&entitlement=clock:use",),
    "connect": ("?agent=research-bot",),
}
_HIDDEN: Final = (
    r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
    r"|\udb40"
)
_SEEN: Final = """() => {
  const nodes = [...document.querySelectorAll("*")];
  const attributes = nodes.flatMap((node) => [...node.attributes].map((each) => each.value));
  const text = [document.title, document.documentElement.textContent, ...attributes].join("\\n");
  const leading = nodes.filter((node) => node.matches("[href],[src],[action],[formaction]"));
  return {
    owned: window.owned === undefined ? null : String(window.owned),
    hidden: [...new Set((text.match(/HIDDEN/g) || []).map((each) => each.codePointAt(0).toString(16)))],
    computed: text.includes("$49"),
    scripts: [...document.querySelectorAll("script:not([src])")].length,
    handlers: nodes.filter((node) => node.hasAttribute("onload") || node.hasAttribute("onerror")).length,
    leads: leading.map((node) => String(node.href || node.src || node.action)).filter((to) => /^javascript:/i.test(to)),
    across: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    violations: window.violations,
  };
}""".replace("HIDDEN", _HIDDEN)
_HARMLESS: Final[dict[str, Any]] = {
    "owned": None,
    "hidden": [],
    "computed": False,
    "scripts": 0,
    "handlers": 0,
    "leads": [],
    "across": 0,
    "violations": [],
}


@pytest.mark.usefixtures("transactional_db")
def test_no_hostile_text_runs_hides_or_breaks_anything_on_any_page(visitor: Visitor) -> None:
    from entitlements.people.models import Person  # noqa: PLC0415 - the product can be imported only now
    from governance.console import matrix  # noqa: PLC0415
    from tests.attacks import hostile  # noqa: PLC0415
    from tests.governance.console import addresses  # noqa: PLC0415

    world = hostile.world()
    for login in ("ana", "sofia"):
        person = Person.objects.get(login=login)
        person.set_password(PASSWORD)
        person.save()
    dialogs: list[str] = []
    visitor.page.on("dialog", lambda dialog: _dismiss(dialog, dialogs))
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    looked = [
        world.address(route) + more
        for name, route in addresses.own().items()
        if (name, "GET") in matrix.PAGES and name not in FILES
        for more in ("", *TABS.get(name, ()))
    ]
    wrong = _walk(visitor, "ana", [*looked, "/admin/entitlements/agent/", "/admin/entitlements/tool/"])
    leave(visitor.page)
    mine = ["/", "/reviews/q4/work/", "/reviews/q4/submit/", world.address("requests/<uuid:pk>/"), "/my-agents/"]
    wrong |= _walk(visitor, "sofia", mine)
    assert dialogs == []
    assert wrong == {}, "\n".join(f"{path}: {differs}" for path, differs in wrong.items())


def _dismiss(dialog: Dialog, seen: list[str]) -> None:
    seen.append(dialog.message)
    dialog.dismiss()


def _walk(visitor: Visitor, login: str, looked: list[str]) -> dict[str, Any]:
    visitor.sign_in(login)
    wrong: dict[str, Any] = {}
    for path in looked:
        visitor.go(path)
        seen = visitor.page.evaluate(_SEEN)
        if path.startswith("/admin/"):  # its own layout, not ours, and its own tables scroll
            seen["across"] = 0
        if differs := {name: seen[name] for name in _HARMLESS if seen[name] != _HARMLESS[name]}:
            wrong[path] = differs
    return wrong
