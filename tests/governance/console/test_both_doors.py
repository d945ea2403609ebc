"""What asks for a fresh proof at one door asks at the other: pages read the API's rows, and none asks by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest

from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.people.models import Person, Role
from entitlements.permissions.matrix import ALWAYS, WEIGHTY, Row
from governance.console import matrix, matrix_rows
from tests import make, shared
from tests.architecture import tree
from tests.governance.console import addresses, visits

pytestmark = pytest.mark.django_db
_GUARDRAIL: Final = {"name": "x", "effect": "forbid", "mode": "observe", "risk": "high", "reason": "x"}
_SESSION_POLICY: Final = {"name": "x", "idle": "10", "absolute": "8", "max_age": "1", "reason": "x"}
BUTTONS: Final[dict[str, dict[str, dict[str, str]]]] = {
    "source-page": {
        "people-source-rotate": {"verb": "rotate"},
        "people-source-test": {"verb": "test"},
        "people-source-disable": {"verb": "end", "reason": "x"},
        "people-source-let-through": {"verb": "let", "reason": "x"},
        "people-source-keep": {"verb": "refuse", "reason": "x"},
        "people-source-file": {"verb": "look"},
    },
    "what-if-grant": {"decisions-what-if": {"revoke": "1", "days": "7"}},
    "discovery-page": {
        "discovery-source-run": {"verb": "run"},
        "discovery-source-credential": {"verb": "credential", "credential": "another-token"},
        "discovery-source-change": {"verb": "change", "every_hours": "6", "reads": "all"},
        "discovery-source-disable": {"verb": "disable", "reason": "x"},
        "discovery-source-enable": {"verb": "enable", "reason": "x"},
    },
    "discovery-add": {
        "discovery-source-okta": {
            "name": "Okta",
            "slug": "another-okta",
            "address": "https://example.okta.com",
            "credential": "00-no-server-knows-it",
            "reads": "all",
        },
    },
    "webhook-page": {
        "webhook-rotate": {"verb": "rotate"},
        "webhook-test": {"verb": "test"},
        "webhook-stop": {"verb": "stop", "reason": "x"},
        "webhook-start": {"verb": "start", "reason": "x"},
        "webhook-message-replay": {"verb": "replay", "message": "x"},
    },
    "chat-settings": {
        "chat-connection-slack": {"verb": "slack", "bot_token": "xoxb-1"},
        "chat-connection-teams": {"verb": "teams", "app_id": "0" * 32, "tenant": "0" * 32, "secret": "x"},
        "chat-connection-names": {"verb": "names", "service": "slack"},
        "chat-connection-test": {"verb": "test", "service": "slack"},
        "chat-connection-disconnect": {"verb": "disconnect", "service": "slack", "reason": "x"},
    },
    "client-page": {
        "client-secret": {"verb": "rotate", "reason": "x"},
        "client-keys": {"verb": "keys", "jwks": "{}", "reason": "x"},
        "client-rotation-revoke": {"verb": "revoke-rotation", "reason": "x"},
        "client-enable": {"verb": "enable", "reason": "x"},
    },
    "client-host-decide": {
        "client-host-confirm": {"verb": "confirm"},
        "client-host-withdraw": {"verb": "withdraw", "reason": "x"},
        "client-host-end": {"verb": "end", "reason": "x"},
    },
    "trusted-issuer-decide": {
        "trusted-issuer-confirm": {"verb": "confirm"},
        "trusted-issuer-withdraw": {"verb": "withdraw", "reason": "x"},
        "trusted-issuer-end": {"verb": "end", "reason": "x"},
    },
    "system-network-decide": {
        "system-network-confirm": {"verb": "confirm"},
        "system-network-withdraw": {"verb": "withdraw", "reason": "x"},
        "system-network-end": {"verb": "end", "reason": "x"},
    },
    "change-proposal-decide": {
        "change-proposal-confirm": {"verb": "confirm"},
        "change-proposal-withdraw": {"verb": "withdraw", "reason": "x"},
    },
    "session-policy-decide": {
        "session-policy-confirm": {"verb": "confirm"},
        "session-policy-withdraw": {"verb": "withdraw", "reason": "x"},
        "session-policy-end": {"verb": "end", "reason": "x"},
    },
    "account-disconnect": {"connected-account-end": {"reason": "x"}},
    "risk-signal-page": {
        "risk-confirm": {"verb": "confirm", "reason": "x"},
        "risk-confirm-safe": {"verb": "safe", "reason": "x"},
        "risk-dismiss": {"verb": "dismiss", "reason": "x"},
    },
    "decoy-page": {"decoy-end": {"reason": "x"}},
    "budget-page": {"budget-end": {"reason": "x"}},
    "signal-response-decide": {
        "signal-response-confirm": {"verb": "confirm"},
        "signal-response-withdraw": {"verb": "withdraw", "reason": "x"},
    },
    "event-receiver-decide": {"event-receiver-end": {"verb": "end", "reason": "x"}},
    "signal-poll-decide": {"signal-poll-end": {"verb": "end", "reason": "x"}},
    "event-stream-page": {
        "event-stream-status": {"verb": "set", "status": "paused", "reason": "x"},
        "event-stream-delete": {"verb": "delete"},  # without a reason it stays
    },
    "stdio-command-decide": {
        "stdio-command-confirm": {"verb": "confirm"},
        "stdio-command-withdraw": {"verb": "withdraw", "reason": "x"},
        "stdio-command-end": {"verb": "end", "reason": "x"},
    },
    "client-document-page": {
        "client-document-approve": {"agent": "research-bot"},
        "client-document-refuse": {"refuse": "yes", "reason": "x"},
    },
    "credential-page": {
        "client-credential-accept": {"accept": ""},
        "client-credential-refuse": {"reason": "x"},
    },
    "policy-decide": {
        "policy-proposal-confirm": {"verb": "confirm", "reason": "x"},
        "policy-proposal-withdraw": {"verb": "withdraw", "reason": "x"},
    },
    "guardrail-propose": {
        "guardrails": _GUARDRAIL,
        "decisions-what-if": {**_GUARDRAIL, "replay": "30"},
    },
    "session-policy-propose": {
        "session-policies": _SESSION_POLICY,
        "decisions-what-if": {**_SESSION_POLICY, "replay": "30"},
    },
    "guardrail-decide": {
        "guardrail-confirm": {"verb": "confirm", "reason": "x"},
        "guardrail-replay": {"verb": "replay", "days": "7"},
        "guardrail-withdraw": {"verb": "withdraw", "reason": "x"},
        "guardrail-end": {"verb": "end", "reason": "x"},
    },
    "credential-policy-decide": {
        "credential-policy-proposal-confirm": {"verb": "confirm", "reason": "x"},
        "credential-policy-proposal-withdraw": {"verb": "withdraw", "reason": "x"},
    },
    "auto-approval-rule-decide": {
        "auto-approval-rule-confirm": {"verb": "confirm", "reason": "x"},
        "auto-approval-rule-withdraw": {"verb": "withdraw", "reason": "x"},
        "auto-approval-rule-end": {"verb": "end", "reason": "x"},
    },
    "review-audit": {
        "campaign-samples": {"do": "draw"},
        "campaign-questions": {"do": "ask", "text": "x"},
        "audit-question-answer": {"do": "answer", "question": "x"},
        "campaign-shares": {"do": "share", "person": "bob"},
        "evidence-share-end": {"do": "end-share", "share": "x"},
    },
    "system-add": {
        "systems": {
            "slug": "new",
            "name": "New",
            "kind": "mcp_gateway",
            "owner": "everybody",
            "sign_in": "none",
            "upstream_url": "https://mcp.example.org/mcp",
        },
    },
}
"""Of pages that do several things, of which some ask for a proof: what is sent for each."""
ON_THE_PAGE_ALONE: Final = {"stop-everything"}
"""Stopping everything asks nothing of a script: decision 0018 says why."""


def _proven(page: matrix_rows.Page) -> set[str]:
    return {matrix_rows.API[key].proven for key in page.asks} - {WEIGHTY}


def _pages() -> Iterator[tuple[str, str, matrix_rows.Page]]:
    """Yield the pages that do something of which the API always asks for a proof."""
    for (name, method), page in matrix.PAGES.items():
        if any(matrix_rows.API[key].proven == ALWAYS and key[1] in {method, "PUT", "PATCH"} for key in page.asks):
            yield name, method, page


made_world, world = shared.world(addresses.world)


@pytest.fixture
def everybody() -> Person:
    """Somebody who may do everything, in a browser that was left open."""
    return make.person("everybody", roles=list(Role), password="correct horse battery staple")


def asks(person: Person, method: str, address: str, form: dict[str, str]) -> bool:
    """Whether a page asks somebody who signed in long ago to prove who they are."""
    answer = visits.as_(person, fresh=False).generic(
        method, address, "&".join(f"{k}={v}" for k, v in form.items()), "application/x-www-form-urlencoded"
    )
    return answer.status_code == 302 and answer.headers["Location"].startswith("/login/again/")


def test_each_act_asks_on_its_page_where_it_asks_at_the_api(world: addresses.World, everybody: Person) -> None:
    routes, wrong = addresses.own(), []
    Agent.objects.filter(pk=world.company.bot.pk).update(backup=everybody)  # who accepts its credentials
    for name, method, page in _pages():
        address = world.address(routes[name])
        if _proven(page) == {ALWAYS} and method == "POST":
            if not asks(everybody, method, address, {}):
                wrong.append(f"{name} asks for no proof")
            continue
        if method == "GET":  # a form is shown without one; a file is not
            is_file = page.row.proven == ALWAYS
            if asks(everybody, method, address, {}) != is_file:
                wrong.append(f"{name} {method}")
            continue
        for act, _method in page.asks:
            if (form := BUTTONS.get(name, {}).get(act)) is None:
                continue
            if asks(everybody, method, address, form) != (matrix_rows.API[act, _method].proven == ALWAYS):
                wrong.append(f"{name} and {act} differ")
    assert not wrong, "\n".join(wrong)


def test_every_button_of_a_page_of_which_some_ask_is_tried_above() -> None:
    for name, method, page in _pages():
        if method == "POST" and _proven(page) != {ALWAYS}:
            acts = {act for act, _method in page.asks} - {"system-secret"}
            assert acts == BUTTONS.get(name, {}).keys(), f"Say in BUTTONS what {name} sends for each of {sorted(acts)}."


def test_a_secret_with_a_new_system_asks_like_one_of_a_known_system(world: addresses.World, everybody: Person) -> None:
    form = BUTTONS["system-add"]["systems"] | {"sign_in": "bearer", "secret": "s3cr3t-of-the-upstream"}
    assert asks(everybody, "POST", "/systems/add/", form)
    assert not System.objects.exclude(pk=world.company.system.pk).filter(slug="new").exists()


def test_what_only_a_page_does_asks_by_its_own_row_and_no_page_asks_by_itself() -> None:
    alone: dict[str, Row] = {
        name: page.row for (name, method), page in matrix.PAGES.items() if method == "POST" and not page.asks
    }
    asked = {name for name, row in alone.items() if row.proven}
    assert asked == {"make-token", "setup-invite", "setup-trust", "setup-link", *ON_THE_PAGE_ALONE}
    views = [path for path in tree.pages() if {"views", "pages"} & {*path.parts, path.stem}]
    assert not [path.name for path in views if re.search(r"\bdemand\(", path.read_text())]
