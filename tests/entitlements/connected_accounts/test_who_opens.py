"""The tokens of people's accounts are opened where a call goes out, where they are revoked, and where they are marked
for the scan of answers: nowhere else.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OPENERS = {
    "entitlements/connected_accounts/account_calls.py",
    "entitlements/foreign_tokens/account_ends.py",
    "entitlements/secret_scan/scan.py",
}


def _opens(path: Path) -> bool:
    """Whether a module calls `tokens.opened`, under whichever name it has the module or the function."""
    text = path.read_text()
    if "connected_accounts" not in text:
        return False
    called = (each.func for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Call))
    return any(
        isinstance(func, ast.Attribute)
        and func.attr == "opened"
        and isinstance(func.value, ast.Name)
        and func.value.id == "tokens"
        for func in called
    )


def test_the_gateway_the_revocation_and_the_scan_of_answers_alone_open_the_tokens_of_an_account() -> None:
    modules = [path for floor in ("audit", "entitlements", "governance") for path in (ROOT / floor).rglob("*.py")]
    assert {str(path.relative_to(ROOT)) for path in modules if _opens(path)} == OPENERS
    imported = [path for path in modules if "connected_accounts.tokens import" in path.read_text()]
    names = {line for path in imported for line in path.read_text().splitlines() if "connected_accounts.tokens" in line}
    assert not any("opened" in line or "place" in line for line in names)
