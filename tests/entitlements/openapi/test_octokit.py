"""The document of GitHub's API, as npm's `@octokit/openapi` has it: 1,223 operations, each refusal listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from entitlements.openapi import reader
from entitlements.rest.operation import of
from tests.conformance import nodejs

pytestmark = pytest.mark.loopback

REFUSED = {
    ("GET", "/advisories", "value_of_several_types", "cwes"),
    ("GET", "/enterprises/{enterprise}/dependabot/alerts", "value_of_several_types", "has"),
    ("GET", "/orgs/{org}/dependabot/alerts", "value_of_several_types", "has"),
    ("GET", "/repos/{owner}/{repo}/dependabot/alerts", "value_of_several_types", "has"),
    ("POST", "/markdown/raw", "body_type", "text/plain, text/x-markdown"),
    ("POST", "/repos/{owner}/{repo}/releases/{release_id}/assets", "servers_of_its_own", ""),
    (
        "GET",
        "/repos/{owner}/{repo}/compare/{base}...{head}",
        "path_not_supported",
        "/repos/{owner}/{repo}/compare/{base}...{head}",
    ),
}
SEVERAL_TYPES = {
    "fields": [
        f"GET /{owner}/projectsV2/{{project_number}}/{rest}"
        for owner in ("orgs/{org}", "users/{username}")
        for rest in ("items", "items/{item_id}", "views/{view_number}/items")
    ],
    "workflow_id": [
        f"{method} /repos/{{owner}}/{{repo}}/actions/workflows/{{workflow_id}}{rest}"
        for method, rest in (
            ("GET", ""),
            ("PUT", "/disable"),
            ("POST", "/dispatches"),
            ("PUT", "/enable"),
            ("GET", "/runs"),
            ("GET", "/timing"),
        )
    ],
    "pages_deployment_id": [
        "GET /repos/{owner}/{repo}/pages/deployments/{pages_deployment_id}",
        "POST /repos/{owner}/{repo}/pages/deployments/{pages_deployment_id}/cancel",
    ],
}


def test_the_document_of_githubs_api_is_read_with_every_refusal_listed() -> None:
    folder = nodejs.modules(Path(__file__).with_name("node"))
    found = reader.read((folder / "@octokit/openapi/generated/api.github.com.json").read_bytes())

    expected = set(REFUSED)
    for about, places in SEVERAL_TYPES.items():
        split = [place.partition(" ") for place in places]
        expected |= {(method, path, "value_of_several_types", about) for method, _space, path in split}
    assert {(each.method, each.path, each.why.value, each.about) for each in found.refused} == expected
    assert (len(found.tools), len(found.refused)) == (1202, 21)
    assert len({tool["name"] for tool in found.tools}) == 1202
    assert found.address == "https://api.github.com"
    assert len({(of(tool).method, of(tool).path) for tool in found.tools}) == 1202
    assert all(each.was.replace("/", "_") == each.now for each in found.renamed)
