"""The path to a vendor: native where ID-JAGs are issued, and not governed at issue where none are."""

from __future__ import annotations

import pytest

from audit.context import SYSTEM
from entitlements.vendors import vendors
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("switch", [{"issues": False}, {"joins": "company_provider"}])
def test_the_path_to_a_vendor_is_native_until_nothing_is_issued(switch: dict[str, object]) -> None:
    ana, vendor = make.analyst(), make.vendor("maps")
    make.grant(make.agent("bot"), make.entitlement(vendor))

    def row() -> tuple[str, str, bool]:
        (found,) = client.of(ana).get("/api/v1/coverage-map").json()["results"]
        return found["path"], found["usage_grade"], found["issued"]

    assert row() == ("native", "B", True)
    assert b"Native token" in visits.as_(ana).get("/coverage/").content
    vendors.edit(vendor, by=SYSTEM, reason="agreed", **switch)  # type: ignore[arg-type]
    assert row() == ("known", "C", False)
    page = visits.as_(ana).get("/coverage/")
    assert b"Not governed at issue" in page.content
    number = client.of(ana).get("/api/v1/coverage-map").json()["results"][0]["id"]
    assert b"Not governed at issue" in visits.as_(ana).get(f"/coverage/{number}/").content
    assert client.of(ana).get("/api/v1/coverage-map/summary").json()["paths"] == {"native": 0, "gateway": 0, "known": 1}
