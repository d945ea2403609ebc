"""A vendor over the console: how it joins is asked and shown; it is edited from what was read, and tested."""

from __future__ import annotations

from typing import Any

import pytest

from audit.export import timeline
from entitlements.catalog.models import System
from entitlements.people.models import Person
from entitlements.vendors.models import Vendor, VendorSubject
from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
FORM: dict[str, Any] = {
    "joins": "our_issuer",
    "name": "Maps",
    "slug": "",
    "issuer": "https://as.maps.example/t/",
    "resources": "https://mcp.maps.example/mcp\nhttps://mcp.maps.example/two/mcp\n",
    "owner": "ana",
    "subjects": "pairwise",
    "scope_names": "whole",
}


@pytest.fixture
def ana() -> Person:
    return make.analyst("ana")


def added(ana: Person, **more: object) -> Any:  # noqa: ANN401 - an answer
    return visits.as_(ana).post("/systems/add/vendor/", {**FORM, **more})


def test_a_vendor_is_added_and_its_page_shows_what_is_agreed(ana: Person) -> None:
    page = visits.as_(ana).get("/systems/add/vendor/").content.decode()
    for words in ("It trusts Mandate", "It trusts only the company", "only ordinary OAuth"):
        assert words in page

    assert added(ana)["Location"] == "/systems/maps/"

    vendor = Vendor.objects.get()
    assert (vendor.issuer, len(vendor.resources), vendor.joins) == (FORM["issuer"], 2, "our_issuer")
    shown = visits.as_(ana).get("/systems/maps/").content.decode()
    for words in (FORM["issuer"], "https://mcp.maps.example/two/mcp", "Assertions are issued", "Not tested yet"):
        assert words in shown


def test_a_vendor_that_takes_no_assertions_is_led_to_the_gateway(ana: Person) -> None:
    answer = added(ana, joins="gateway")
    assert answer.status_code == 422
    assert b"vendor_through_gateway" in answer.content
    assert b'href="/systems/add/"' in answer.content
    assert not System.objects.filter(slug="maps").exists()


def edited(ana: Person, **more: object) -> Any:  # noqa: ANN401 - an answer
    version = System.objects.get(slug="maps").version
    sent = {name: value for name, value in FORM.items() if name not in {"name", "slug", "owner"}}
    return visits.as_(ana).post("/systems/maps/vendor/", {**sent, "version": version, "issues": "on", **more})


def test_the_switch_and_the_way_to_join_are_edited_and_shown(ana: Person) -> None:
    added(ana)
    refused = edited(ana, joins="company_provider")
    assert (refused.status_code, b"reason_required" in refused.content) == (422, True)

    assert edited(ana, joins="company_provider", reason="They changed it.").status_code == 302
    assert b"Not governed at issue" in visits.as_(ana).get("/systems/maps/").content
    assert edited(ana, joins="our_issuer", reason="Back.", issues="").status_code == 302
    assert Vendor.objects.get().issues is False
    assert b"Switched off: no assertion is issued" in visits.as_(ana).get("/systems/maps/").content
    stale = edited(ana, version=1)
    assert stale.status_code == 412


def test_names_and_the_test_client_are_entered_there(ana: Person) -> None:
    added(ana)
    make.client(make.agent("bot"), "bot-client")
    make.person("alice")
    browser = visits.as_(ana)

    browser.post("/systems/maps/vendor/client/", {"client_id": "bot-client", "foreign_id": "agent-4711"})
    browser.post("/systems/maps/vendor/person/", {"person": "alice", "subject": "alice@maps"})
    browser.post("/systems/maps/vendor/test-client/", {"client_id": "probe", "value": "s3cr3t-of-the-probe"})

    page = visits.as_(ana).get("/systems/maps/vendor/").content.decode()
    assert "agent-4711" in page
    assert "s3cr3t" not in page
    assert VendorSubject.objects.get().subject == "alice@maps"
    assert Vendor.objects.get().test_client_id == "probe"
    unknown = browser.post("/systems/maps/vendor/client/", {"client_id": "unknown", "foreign_id": "x"})
    assert unknown.status_code == 404


def test_trust_is_tested_by_a_button_and_each_step_is_shown(ana: Person) -> None:
    added(ana, issuer="https://10.0.0.1/t")  # which the way out refuses: nothing of it is asked
    answer = visits.as_(ana).post("/systems/maps/vendor/test-trust/")
    assert answer["Location"] == "/systems/maps/#h-vendor"
    page = visits.as_(ana).get("/systems/maps/").content.decode()
    assert "metadata was not found" in page
    assert "No token was asked for" in page
    assert timeline.of("system", "maps").filter(action="system.trust_tested").count() == 1


def test_a_system_without_a_vendor_has_no_such_page(ana: Person) -> None:
    make.system("time")
    assert visits.as_(ana).get("/systems/time/vendor/").status_code == 404
    assert b"h-vendor" not in visits.as_(ana).get("/systems/time/").content
