"""A sponsor lets a job in as a client of their agent and ends it again, by keyboard; every page is accessible."""

from __future__ import annotations

import pytest

from audit.context import SYSTEM
from entitlements.clients.models import Client
from entitlements.trusted_issuers import trust
from entitlements.workload_identity.models import WorkloadRule
from tests import make
from tests.browser.conftest import PASSWORD, Visitor
from tests.browser.test_gallery import look_at
from tests.entitlements.workload_identity.tokens import GITHUB, ISSUERS

FILLED = {
    "repository_owner_id": "65",
    "repository_id": "74",
    "job_workflow_ref": "octo-org/octo-automation/.github/workflows/nightly-expenses.yml@refs/heads/main",
    "reason": "It files the expenses each night.",
}


@pytest.mark.usefixtures("transactional_db")
def test_a_sponsor_lets_a_job_in_and_ends_it(visitor: Visitor) -> None:
    sofia = make.person("sofia", password=PASSWORD)
    make.client(make.agent("expense-bot", sponsor=sofia), "job", auth=Client.Auth.WORKLOAD_IDENTITY)
    for issuer in ISSUERS.values():
        key = {**make.PUBLIC_KEY, "use": "jwt-svid"} if issuer.startswith("spiffe") else make.PUBLIC_KEY
        trust.begin(issuer, purpose="workload", jwks={"keys": [key]}, by=SYSTEM)
    visitor.sign_in("sofia")
    page, client = visitor.page, "/agents/expense-bot/clients/job/"
    for name, address in {"none": client, "form": "/workload-rules/add/expense-bot/github/job/"}.items():
        assert not (wrong := look_at(visitor, f"workload-{name}", address)), "\n".join(wrong)

    page.set_viewport_size({"width": 1440, "height": 900})
    visitor.go(client)
    visitor.tab_to("a[href$='/github/job/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/github/job/")
    page.select_option("[name=issuer]", GITHUB)
    for name in ("repository_owner_id", "repository_id", "reason"):
        page.fill(f"[name={name}]", FILLED[name])
    visitor.tab_to("button.primary")
    page.keyboard.press("Enter")
    page.get_by_text("each branch that a contributor pushes").wait_for()
    page.fill("[name=job_workflow_ref]", FILLED["job_workflow_ref"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{client}")
    assert not (wrong := look_at(visitor, "workload-one", client)), "\n".join(wrong)

    page.set_viewport_size({"width": 1440, "height": 900})
    visitor.tab_to("details.act:has(form[action^='/workload-rules/']) > summary")
    page.keyboard.press("Enter")
    visitor.tab_to("[name=reason]")
    page.keyboard.type("The job moved.")
    visitor.tab_to("form[action^='/workload-rules/'] button")
    page.keyboard.press("Enter")
    page.get_by_text("No workload rule.").wait_for()
    assert WorkloadRule.objects.get().end_reason == "The job moved."
    assert [said for said in visitor.wrong if "422" not in said] == []  # the refusal above
