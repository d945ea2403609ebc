"""No example of the pages escapes: what is to be typed stands in a block that a test runs, or is named here."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from entitlements.catalog_files.api import plans
from governance.cli import catalogue
from tests import make, second_factor
from tests.architecture import tree
from tests.entitlements.api import client

PAGES: Final = sorted([tree.ROOT / "README.md", *(tree.ROOT / "docs").rglob("*.md")])
BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED: Final = re.compile(
    r"^\s*(\$ |(mandate|api|curl|python3?|docker|make|pip|uv|psql|git|export|openssl|npm|sh|bash|scripts/\S+) )"
)
RUN_BY: Final = {
    "docs/demo.md": "tests/deployments/test_demo.py",
    "docs/operate/approvals.md": "tests/governance/cli/test_catalogue_file.py",
    "docs/operate/scripts.md": "tests/deployments/test_demo.py",
    "docs/operate/break-glass.md": "tests/operate/test_examples.py",
    **{
        f"docs/operate/{name}.md": "tests/deployments/test_pages.py"
        for name in ("install", "keys", "monitoring", "scaling", "upgrade")
    },
    "docs/operate/database.md": "tests/deployments/test_failover.py",
    "docs/operate/kubernetes.md": "tests/deployments/test_kubernetes_page.py",
    "docs/operate/backup.md": "tests/deployments/test_backup.py",
    "docs/operate/reviews.md": "tests/governance/reviews/pack/test_evidence_pack.py",
}
"""Which test runs the commands of a page; each names it, or takes every one. `test_pooler` runs what is marked ini."""
SHOWN: Final = {"make demo", "make test", "python audit/verify.py FILE --checkpoint ANCHORS --key VKEY"}
"""What stands in a block that is not run as it is: the whole suite, the demo that the journeys play, a usage line."""

OF_OTHERS: Final = {"docs/operate/database.md", "docs/operate/notices.md"}
"""Whose yaml is of other programs: `test_failover` runs Patroni's, `test_kubernetes_page` reads the operator's, and
the manifest of the app is Slack's."""


def name_of(page: Path) -> str:
    return str(page.relative_to(tree.ROOT))


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of each block of a page."""
    yield from ((found[1], found[2]) for found in BLOCK.finditer(page.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_to_be_typed_stands_in_a_block_that_a_test_runs(page: Path) -> None:
    for language, text in blocks(page):
        assert language in {"", "sh", "json", "yaml", "ini"}, f"Say what runs {language} on {name_of(page)}."
        if language == "sh":
            assert (tree.ROOT / RUN_BY[name_of(page)]).exists()
        for line in text.splitlines() if language not in {"sh", "ini"} else ():
            typed = TYPED.match(line) and not any(line.startswith(known) for known in SHOWN)
            assert not typed, f"{name_of(page)}: {line!r} stands in a block that nothing runs; mark it as sh."


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(kind == "json" for kind, _ in blocks(page))], ids=name_of
)
def test_each_example_of_json_is_json(page: Path) -> None:
    for language, text in blocks(page):
        if language == "json":
            json.loads(text)


def test_each_example_of_a_catalogue_is_one(tmp_path: Path) -> None:
    pages = [page for page in PAGES if name_of(page) not in OF_OTHERS]
    found = [text for page in pages for language, text in blocks(page) if language == "yaml"]
    for text in found:
        (tmp_path / "catalogue.yaml").write_text(text)
        plans.CatalogFileInputSerializer(data=catalogue.read(tmp_path / "catalogue.yaml")).is_valid(
            raise_exception=True
        )
    assert found


def called(page: str) -> tuple[str, str, dict[str, Any], dict[str, str]]:
    """Read the one `api LOGIN PATH -d BODY -H HEADER` of a page: who, which address, what, with which headers."""
    (text,) = [text for language, text in blocks(tree.ROOT / page) if language == "sh"]
    _api, login, path, *rest = shlex.split(text)
    options = list(zip(rest[::2], rest[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    (body,) = [json.loads(value) for option, value in options if option == "-d"]
    return login, path, body, headers


@pytest.mark.django_db
def test_an_emergency_is_declared_as_the_page_types_it() -> None:
    login, path, body, headers = called("docs/operate/break-glass.md")
    assert headers == {"Mandate-Proof": "123456"}
    resa, system = make.security(login), make.system("time")
    for person in body["people"]:
        make.person(person)
    make.entitlement(system, *(make.tool(system, name) for name in body["tools"]), scope=body["entitlement"])
    make.agent(body["agent"])
    secret = second_factor.given_to(resa)
    headers["Mandate-Proof"] = second_factor.code(secret)

    made = client.of(resa).post(f"/api/v1/{path}", body, format="json", headers=headers)

    assert (made.status_code, made.json()["given_by"]) == (201, login), made.json()


def test_the_manifest_of_the_slack_app_asks_for_what_mandate_calls() -> None:
    page = next(page for page in PAGES if name_of(page) == "docs/operate/notices.md")
    (manifest,) = [yaml.safe_load(text) for language, text in blocks(page) if language == "yaml"]
    # chat.postMessage; /mandate; users.info; users.lookupByEmail
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == {
        *("chat:write", "commands", "users:read", "users:read.email"),
    }
    assert [each["command"] for each in manifest["features"]["slash_commands"]] == ["/mandate"]
    assert manifest["settings"]["event_subscriptions"]["bot_events"] == ["app_home_opened"]
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert manifest["features"]["app_home"]["home_tab_enabled"] is True
