"""Every page that the console has an address for: nothing to complain about for axe, the policy, or a small screen.

A page without parameters is looked at as soon as it has an address; one with parameters fails here until `EXAMPLES`
names one of it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

import pytest
from django.urls import URLPattern, reverse
from django.urls.converters import get_converters
from playwright.sync_api import expect

from audit.context import SYSTEM
from entitlements.clients.models import Client
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.revocation import proofs, revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.targets import Target
from governance.chat import connections
from governance.reviews.items.models import ReviewItem
from governance.webhooks import webhooks
from tests.browser import (
    approval_world,
    campaigns,
    elsewhere,
    emergencies,
    explained,
    risk_things,
    small,
    traced,
    world,
)
from tests.browser.conftest import PASSWORD, Visitor, complaints, leave

pytestmark = pytest.mark.timeout(900)

SHOTS = os.environ.get("MANDATE_SHOTS", "")
# Pages that need something to show, and what the ones above show with a tab, a filter or an error.
EXAMPLES: Final[dict[str, list[str]]] = {
    "search": ["/search/?q=invoice", "/search/?q=no+such+thing"],
    "audit": [
        *("/audit/?verify=1", "/audit/?about=agent:expense-bot", "/audit/?about=campaign:q4"),
        *("/audit/?outcome=refused", "/audit/?action=request.submitted&actor=otto"),
    ],
    "agent-page": [f"/agents/expense-bot/{tab}" for tab in ("", "?tab=timeline", "?tab=tokens")]
    + ["/agents/build-bot/"]
    + [f"/agents/research-bot/?tab={tab}" for tab in ("people", "versions", "reviews")],
    "agent-edit": ["/agents/expense-bot/edit/"],
    "agent-list": ["/agents/", "/agents/?q=nothing+like+it"],
    "client-add": ["/agents/expense-bot/clients/add/"],
    "client-page": ["/agents/expense-bot/clients/expense-bot/"],
    "workload-rule-add": [
        f"/workload-rules/add/expense-bot/{platform}/expense-bot/" for platform in ("github", "kubernetes")
    ],
    "system-page": ["/systems/crm/", "/systems/erp/?tab=entitlements"],
    "system-edit": ["/systems/crm/edit/"],
    "system-credential": [
        f"/systems/crm/secret/{kind}" for kind in ("", "?kind=oauth_key", "?kind=oauth_user", "?kind=none")
    ],
    "entitlement-add": ["/systems/erp/entitlements/add/"],
    "entitlement-edit": ["/systems/erp/entitlements/erp:use/"],
    "tool-changes": ["/tool-changes/"],
    "tool-page": ["/systems/crm/tools/export_customers/", "/systems/crm/tools/summarise_page/"],
    "ask": ["/requests/new/", "/requests/new/?agent=invoice-matcher&entitlement=crm:use"],
    "emergency-declare": [
        "/break-glass/declare/",
        "/break-glass/declare/?agent=invoice-matcher&entitlement=crm:use",
    ],
    "request-list": ["/requests/", "/requests/?waiting=me"],
    "review-list": ["/reviews/", "/reviews/?q=nothing+like+it"],
    "review-new": ["/reviews/new/", "/reviews/new/?step=scope&agent=expense-bot", "/reviews/new/?step=reviewers"],
    "review-items": ["/reviews/q4/items/", "/reviews/q4/items/?view=unassigned"],
    "review-reviewers": ["/reviews/q4/reviewers/"],
    "review-settings": ["/reviews/q4/settings/", "/reviews/checked/settings/"],
    "search-options": [],  # a part of a page
    "inbox-open": [],  # leads to the page of a notice
    "coverage-csv": [],  # a file
    "posture-report": ["/posture/company/", "/posture/no-department/"],
    "posture-report-pdf": [],  # a file
    "review-calendar": [],  # a file
    "review-csv": [],
    "review-json": [],
    "review-pack": [],
    "review-workpaper": [],
    "review-workpaper-json": [],
    "review-audit": ["/reviews/audited/audit/", "/reviews/q4/audit/"],
    "review-evidence": ["/reviews/q4/evidence/"],
    "review-work": ["/reviews/q4/work/", "/reviews/q4/work/?view=answered"],
    "review-submit": ["/reviews/q4/submit/"],
    "stop": ["/stop/agent/expense-bot/", "/stop/system/erp/", "/stop/person_agents/bob/", "/agents/nobody/"],
    "connect": [
        "/connect/",
        "/connect/?agent=expense-bot",
        "/connect/?agent=expense-bot&how=python-sdk&where=ssh",
        "/connect/?agent=build-bot&how=curl-key",
    ],
    "connect-light": [],  # a part of a page
    "rollout-file": [],  # a file
    "discovery-add": [f"/settings/discovery/add/{kind}/" for kind in ("okta", "entra", "fleet")],
    "group-page": ["/groups/research/"],
    "person-page": ["/people/sofia/"],
    "person-connections": ["/people/alice/connections/"],
    "person-edit": ["/people/sofia/edit/"],
    "openid_connect_login": [],  # leads to the company
    "openid_connect_callback": ["/login/company/callback/"],
    "connected-account-callback": [],  # leads to the page of the account
    "company_again": [],  # tests/browser/test_sign_in.py
    "account_logout": ["/logout/"],
    "account_change_password": ["/settings/password/"],
    "welcome": ["/welcome/not-an-invitation/"],
}
SIGN_IN: Final = ["", "totp/activate/", "webauthn/", "webauthn/add/"]
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
REVIEWERS: Final = {"review-work", "review-submit", "review-one", "spot-check"}
OTHERS: Final[dict[str, set[str]]] = {
    "sofia": {
        *REVIEWERS,
        "home",
        "request-page",
        "proposal-page",
        "credential-page",
        "delegations",
        "review-question",
        "spot-checks",
    },
    "olga": {"review-audit", "review-sample", "review-evidence"},
}
NOT_HERS: Final = {"/reviews/q4/audit/", "/reviews/q4/evidence/"}
"""Who looks at pages that show them something else than an analyst: an approver and reviewer, and an auditor."""


@pytest.fixture
def company(company: None) -> None:  # noqa: ARG001 - the company, and a review in it
    world.review()
    _chat()


def _systems() -> dict[str, list[str]]:
    """Make systems of other kinds, and what leads to systems."""
    vendor, api = elsewhere.vendor(), elsewhere.rest_api()
    return {
        "vendor-edit": [f"/systems/{vendor}/vendor/", f"/systems/{vendor}/"],
        "rest-api-page": [f"/systems/{api}/openapi/", f"/systems/{api}/"],
        "connected-account-page": elsewhere.connected_accounts(),
        "system-accounts": ["/systems/crm/connected-accounts/"],
        "system-network-page": [elsewhere.network(api)],
        "stdio-commands-page": [elsewhere.local_servers()],
        "session-policies-page": [risk_things.session_policies()],
        "risk-signal-page": [risk_things.risk_signals("expense-bot")],
        "drift-detector-page": [risk_things.drift("expense-bot")],
        "decoy-page": risk_things.decoys("expense-bot", "erp/list_invoices")[1:2],
        "budget-page": risk_things.budgets("expense-bot", "erp"),
        "event-stream-page": [risk_things.event_streams()],
        "audit": [*EXAMPLES["audit"], traced.trace()],
        "session-page": risk_things.sessions("expense-bot"),
        "discovery-page": [f"/settings/discovery/{slug}/" for slug in elsewhere.discovery_sources()],
    }


def addresses() -> Iterator[tuple[str, str]]:
    """Name every page that has an address, each with what there is to look at."""
    from governance.console import urls  # noqa: PLC0415 - the product can be imported only now

    batch, flows = elsewhere.access()
    item = ReviewItem.objects.select_related("campaign").order_by("number")[0]
    campaigns_of = campaigns.every_state()
    *inquiries, talked_about = elsewhere.questions()
    more = {
        "spot-check": elsewhere.spot_checks(),
        "review-page": ["/reviews/q4/", "/reviews/checked/", *(f"/reviews/{slug}/" for slug in campaigns_of.values())],
        "review-compare": [f"/reviews/{slug}/compare/" for slug in ("q4", *campaigns_of.values())],
        "request-page": [f"/requests/{world.waiting_for('sofia').pk}/"],
        "emergency-page": [f"/break-glass/{emergencies.emergency_given().pk}/"],
        "request-edit": [f"/requests/{(asked := emergencies.asked_by_ana()).pk}/edit/", f"/requests/{asked.pk}/"],
        "grant-page": [f"/grants/{Grant.objects.filter(agent__slug='expense-bot').get().pk}/"],
        "grant-narrow-page": [f"/grants/{Grant.objects.filter(agent__slug='expense-bot').get().pk}/narrow/"],
        "review-sample": [f"/audit/samples/{elsewhere.audited(PASSWORD).pk}/"],
        "review-item-page": [f"/reviews/{item.campaign.slug}/items/{item.pk}/", talked_about],
        "review-question": inquiries,
        "review-template-edit": [f"/reviews/templates/{elsewhere.template()}/edit/"],
        "review-one": [f"/event-triggered-reviews/{each}/" for each in (small.small_review(), small.unused())],
        "rule-page": [f"/sod-policies/{rule.pk}/" for rule in world.rules()],
        "policy-history": [f"/settings/approvals/versions/{approval_world.policies_and_rules().pk}/"],
        "credential-page": [f"/client-credentials/{pk}/" for pk in elsewhere.credentials()],
        "credential-policy-page": [elsewhere.credential_policy()],
        "guardrail-page": elsewhere.guardrails(),
        "client-document-page": [f"/settings/clients/documents/{elsewhere.client_document()}/"],
        "proposal-page": [f"/proposals/{world.asked_of_sofia().pk}/"],
        "adoption-page": [f"/onboarding/{batch.pk}/"],
        "coverage-page": [f"/coverage/{flow.pk}/" for flow in {each.state: each for each in flows}.values()],
        **explained.pages(),
        **_systems(),
        "webhook-page": [f"/settings/notices/webhooks/{_webhook()}/"],
        "source-page": [f"/settings/people-sources/{world.directory()}/"],
        "import-page": [f"/systems/import/{world.file_looked_at().pk}/"],
        "drill-receipt": [f"/stop/drills/{_drilled()}/"],
        "receipt": elsewhere.measured_ends(Revocation.objects.get()),
    }
    assert Client.objects.filter(client_id="expense-bot").exists()
    for pattern in urls.urlpatterns:
        if not isinstance(pattern, URLPattern):
            yield from (("sign-in", f"/settings/sign-in/{path}") for path in SIGN_IN)
            continue
        name = str(pattern.name)
        if not _is_shown(name):
            continue
        known = EXAMPLES | more
        for path in known[name] if name in known else [_bare(pattern)]:
            yield name, path


def _is_shown(name: str) -> bool:
    """Whether an address shows a page; a form's own address takes a POST alone, as its row says."""
    from governance.console import matrix  # noqa: PLC0415 - as above

    try:
        matrix.find(name, "GET")
    except matrix.NotDeclared:
        return False
    return True


def _chat() -> None:
    """Connect Slack, which refused a message."""
    kept = connections.store("slack", token="xoxb-1", name="Example Ltd", by=SYSTEM)
    connections.note_error(kept, "token_revoked")


def _webhook() -> str:
    """Add an endpoint to which a test waits to be sent; returns its short name."""
    made, _secret = webhooks.make(
        "ops", url="https://hooks.example.org/x", form="slack", events=["agent.suspended"], by=SYSTEM
    )
    webhooks.queue_test(made, by=SYSTEM)
    return made.slug


def _drilled() -> UUID:
    """Drill a stop, and prove the one that was made; return the drill."""
    by = Person.objects.get(login="ana").principal
    with contextlib.suppress(proofs.NothingToProve):
        proofs.prove(Revocation.objects.get(), by=by)
    return revocation.drill(Target("agent", "expense-bot"), by=by, reason="Quarterly drill.").pk


def _bare(pattern: URLPattern) -> str:
    """Fill in an address with anything: a page fails that has no example."""
    anything = {"slug": "x", "str": "x", "tool": "x", "path": "x", "int": 1, "uuid": UUID(int=1)}
    kinds = {type(converter): anything[name] for name, converter in get_converters().items() if name in anything}
    given = {name: kinds[type(converter)] for name, converter in pattern.pattern.converters.items()}
    return reverse(str(pattern.name), kwargs={**given, **pattern.default_args})


def look_at(visitor: Visitor, name: str, path: str, *, opened: bool = False) -> list[str]:
    """Look at a page in every way, opening it unless it is open; return what is wrong with it."""
    page, found = visitor.page, []
    if not opened:
        _open(visitor, path)
    _all_of_it(visitor, 1440)
    _shoot(visitor, f"{name}-1440-light")
    found += [f"light: {each}" for each in complaints(page, looks=visitor.looks)]
    page.emulate_media(color_scheme="dark")
    _shoot(visitor, f"{name}-1440-dark")
    found += [f"dark: {each}" for each in complaints(page, ["color-contrast"], kind="rule", looks=visitor.looks)]
    _all_of_it(visitor, 390)
    _shoot(visitor, f"{name}-390-dark")
    found += [f"390: {each}" for each in complaints(page, ["target-size"], kind="rule")]
    found += [f"390: too small for a finger: {each}" for each in page.evaluate(_SMALL)]
    found += [f"390: squeezed: {each}" for each in page.evaluate(_SQUEEZED)]
    page.emulate_media(color_scheme="light")
    _shoot(visitor, f"{name}-390-light")
    page.set_viewport_size({"width": 320, "height": 640})
    across = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    found += [f"320: scrolls {across} px to the side"] if across > 0 else []
    page.emulate_media(forced_colors="active")
    found += [f"forced colours: {each}" for each in page.evaluate(_WORDLESS)]
    found += [f"moves: {each}" for each in page.evaluate(_MOVING)]
    found += visitor.violations()
    found += [f"title: {page.title()}"] if not re.fullmatch(r"\S.* · Mandate", page.title()) else []
    return [f"{name} {path} {each}" for each in found]


def _open(visitor: Visitor, path: str) -> int:
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    visitor.page.emulate_media(color_scheme="light", reduced_motion="reduce", forced_colors="none")
    return visitor.go(path)


def _all_of_it(visitor: Visitor, width: int) -> None:
    """Make the window as high as the page: a bar that stays at its foot would hide what lies under it."""
    visitor.page.set_viewport_size({"width": width, "height": 844})
    high = int(visitor.page.evaluate("document.documentElement.scrollHeight"))
    visitor.page.set_viewport_size({"width": width, "height": max(844, min(high, 9000))})


_SMALL: Final = """[...document.querySelectorAll("button, .button, summary.button, select, nav[aria-label=Main] a")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }))
  .map((e) => [e, e.getBoundingClientRect()])
  .filter(([e, box]) => box.height && box.height < 44)
  .map(([e, box]) => `${box.height} px ${e.outerHTML.slice(0, 90)}`)"""
_SQUEEZED: Final = """[...document.querySelectorAll("caption, p, h1, h2, h3, td, th, dd, dt, li, label")]
  .filter((e) => e.checkVisibility() && e.innerText.trim().length > 12 && e.getBoundingClientRect().width > 1)
  .filter((e) => e.getBoundingClientRect().width < 48 && getComputedStyle(e).display !== "inline")
  .filter((e) => getComputedStyle(e.firstElementChild ?? e).writingMode === "horizontal-tb")
  .map((e) => e.outerHTML.slice(0, 90))"""
_WORDLESS: Final = """[...document.querySelectorAll(".status")]
  .filter((e) => !e.textContent.trim() || !e.querySelector("svg.shape")).map((e) => e.outerHTML.slice(0, 90))"""
_MOVING: Final = """[...document.querySelectorAll("*")]
  .filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0).map((e) => e.outerHTML.slice(0, 60))"""


def _shoot(visitor: Visitor, name: str) -> None:
    if SHOTS:
        path, number = Path(SHOTS) / f"{name}.png", 1
        while path.exists() and number < 9:
            path, number = Path(SHOTS) / f"{name}-{number}.png", number + 1
        visitor.page.screenshot(path=path, full_page=True)


def _prove(visitor: Visitor) -> None:
    """Say the password once more, or the pages of second factors show nothing but the question."""
    visitor.go("/settings/sign-in/totp/activate/")
    visitor.page.locator("input[name=password]").fill(PASSWORD)
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/activate/")


@pytest.mark.usefixtures("company")
def test_every_page_is_accessible_reflows_and_keeps_the_policy(visitor: Visitor) -> None:
    """An analyst looks at everything; what she may not see is looked at by an admin or an approver of high risk.

    A page that says no is not judged. What shows an approver, a reviewer or an auditor something else, they look at.
    """
    wrong = look_at(visitor, "login", "/login/")
    visitor.sign_in_by_keys("ana")
    _prove(visitor)
    pages = list(addresses())
    shut = _look(visitor, [each for each in pages if each[0] not in {*REVIEWERS, "account_login"}], wrong)
    assert shut
    for login in ("admin", "resa"):
        leave(visitor.page)
        visitor.sign_in_by_keys(login)
        _prove(visitor)
        shut = _look(visitor, shut, wrong, login)
    for login, names in OTHERS.items():
        leave(visitor.page)
        visitor.sign_in_by_keys(login)
        assert not _look(
            visitor, [each for each in pages if each[0] in names and each[1] not in NOT_HERS], wrong, login
        )
    assert not wrong, "\n".join(wrong)
    assert shut == [], "nobody looked at these"
    assert [each for each in visitor.wrong if "status of 4" not in each] == []  # some of the pages say no, on purpose


def _look(visitor: Visitor, pages: list[tuple[str, str]], wrong: list[str], login: str = "") -> list[tuple[str, str]]:
    """Look at pages, add what is wrong with them, and return those that say no."""
    shut = []
    for name, path in pages:
        status = _open(visitor, path)
        assert login or status != HTTPStatus.NOT_FOUND or name in EXAMPLES, f"EXAMPLES has nothing to show for {name}"
        if status == HTTPStatus.FORBIDDEN or (login and status == HTTPStatus.NOT_FOUND):
            shut.append((name, path))
        else:
            wrong += look_at(visitor, f"{name}-{login}" if login else name, path, opened=True)
    return shut


@pytest.mark.skipif(not SHOTS, reason="MANDATE_SHOTS names no folder for the pictures of the README")
@pytest.mark.usefixtures("company")
def test_pictures_for_the_readme(visitor: Visitor) -> None:
    page, asked = visitor.page, world.waiting_for("sofia")
    page.set_viewport_size({"width": 1280, "height": 860})
    visitor.sign_in_by_keys("sofia")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        visitor.go(f"/requests/{asked.pk}/")
        page.uncheck("input[value=pay_invoice]")
        page.uncheck("input[value=delete_invoice]")
        expect(page.locator("#outlook")).to_contain_text("with 3 of 5 tools")
        page.screenshot(path=Path(SHOTS) / f"approve-{scheme}.png")
        visitor.go("/reviews/q4/work/")
        page.screenshot(path=Path(SHOTS) / f"review-{scheme}.png")
        visitor.go("/")
        page.screenshot(path=Path(SHOTS) / f"home-{scheme}.png")
