"""Test trust: a real second server, asked step by step, and what could not be tried, word for word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.export import timeline
from entitlements.catalog.models import System
from entitlements.decisions import guardrails
from entitlements.keys import signing
from entitlements.people.models import Person
from entitlements.unmanaged_agents.models import PathTerms
from entitlements.vendors import rules, vendors
from entitlements.vendors.models import Vendor as Row
from tests import make
from tests.entitlements.api import client
from tests.protocols import authlib_vendor
from tests.protocols.authlib_vendor import RegisteredClient, Vendor

pytestmark = [pytest.mark.loopback, pytest.mark.django_db]
SECRET = "s3cr3t-of-the-probe"


@pytest.fixture
def ana(settings: Settings) -> Person:
    settings.DEMO = True  # the vendor is on this machine
    return make.analyst("ana")


@pytest.fixture
def vendor(ana: Person) -> Iterator[Vendor]:
    """Serve a vendor that trusts our issuer, knows its test client, and knows ana by the name that it is given."""
    signing.ensure("idp")
    keys = signing.jwks("idp")
    made = Vendor("", "http://localhost:8000/idp", lambda: keys)
    made.clients["probe"] = RegisteredClient("probe", SECRET)
    with authlib_vendor.served(made):
        system = make.vendor("maps", owner=ana, issuer=made.issuer, resources=[f"{made.issuer}/mcp"])
        make.entitlement(system, scope="maps:read")
        made.people.add((made.trusted, rules.pairwise(Row.objects.get().salt, f"person:{ana.pk}")))
        yield made


def with_client(ana: Person) -> None:
    vendors.set_test_client(System.objects.get(slug="maps"), client_id="probe", value=SECRET, by=ana.principal)


def tried(ana: Person) -> dict[str, Any]:
    """Test it over REST; return the system's vendor as it is then."""
    answer = client.of(ana).post("/api/v1/systems/maps/test-trust", {})
    assert answer.status_code == 200, answer.json()
    assert SECRET not in answer.content.decode()
    return dict(answer.json()["vendor"])


def steps(vendor: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["name"], step["outcome"]) for step in vendor["trust_test"]]


FOUND = [("metadata", "done"), ("issuer", "done"), ("profile", "done")]


def test_a_vendor_that_trusts_us_gives_a_token_whose_life_is_measured(ana: Person, vendor: Vendor) -> None:
    with_client(ana)

    shown = tried(ana)

    assert steps(shown) == [*FOUND, ("token", "done"), ("lifetime", "done")]
    (claims,) = vendor.seen
    assert (claims["client_id"], claims["scope"], claims["exp"] - claims["iat"]) == ("probe", "maps:read", 60)
    terms = PathTerms.objects.get(system__slug="maps", path="native")
    assert (terms.token_basis, terms.token_seconds) == ("measured", authlib_vendor.LIFETIME)
    event = timeline.of("system", "maps").get(action="system.trust_tested")
    assert (event.outcome, event.detail["jti"], event.detail["token_life_seconds"]) == ("success", claims["jti"], 540)


def test_without_a_test_client_it_says_what_it_could_not_try(ana: Person, vendor: Vendor) -> None:
    shown = tried(ana)

    assert steps(shown) == [*FOUND, ("token", "untried")]
    assert shown["trust_test"][-1]["sentence"] == (
        "No token was asked for: no test client is registered here. Whether the vendor takes our signature, our "
        "subjects and our scopes, and how long its tokens live, is not known."
    )
    assert vendor.seen == []
    assert timeline.of("system", "maps").filter(action="system.trust_tested").count() == 1
    assert not PathTerms.objects.exists()


def test_nothing_is_asked_for_while_everything_is_stopped(ana: Person, vendor: Vendor) -> None:
    with_client(ana)
    guardrails.stop_everything(by=SYSTEM, reason="for the test")
    assert ("token", "untried") in steps(tried(ana))
    assert vendor.seen == []


def another_issuer(vendor: Vendor) -> None:
    vendor.metadata["issuer"] = f"{vendor.issuer}/"


def no_profile(vendor: Vendor) -> None:
    vendor.metadata["authorization_grant_profiles_supported"] = None


def no_endpoint(vendor: Vendor) -> None:
    vendor.metadata["token_endpoint"] = None


def inner_endpoint(vendor: Vendor) -> None:
    vendor.metadata["token_endpoint"] = "http://10.0.0.1/token"


def no_trust(vendor: Vendor) -> None:
    vendor.trusted = "https://login.other.example"


def unknown_person(vendor: Vendor) -> None:
    vendor.people.clear()


def other_secret(vendor: Vendor) -> None:
    vendor.clients["probe"] = RegisteredClient("probe", "another")


def no_lifetime(vendor: Vendor) -> None:
    vendor.lifetime = None


def provider(_: Vendor) -> None:
    Row.objects.update(joins="company_provider")


def switched_off(_: Vendor) -> None:
    Row.objects.update(issues=False)


WRONG: list[tuple[Callable[[Vendor], None], list[tuple[str, str]], str]] = [
    (another_issuer, [("metadata", "done"), ("issuer", "failed"), ("token", "untried")], "metadata is needed"),
    (no_endpoint, [*FOUND, ("token", "failed")], "names no token endpoint"),
    (inner_endpoint, [*FOUND, ("token", "failed")], "must start with https"),
    (no_trust, [*FOUND, ("token", "failed")], "answered 400 with invalid_grant"),
    (unknown_person, [*FOUND, ("token", "failed")], "answered 400 with invalid_grant"),
    (other_secret, [*FOUND, ("token", "failed")], "answered 401 with invalid_client"),
    (no_lifetime, [*FOUND, ("token", "done"), ("lifetime", "failed")], "does not say how long"),
    (provider, [*FOUND, ("token", "untried")], "trusts only the company's identity provider"),
    (switched_off, [*FOUND, ("token", "untried")], "switched off"),
    (no_profile, [*FOUND[:2], ("profile", "failed"), ("token", "done"), ("lifetime", "done")], "lives 540 seconds"),
]


@pytest.mark.parametrize(("happens", "expected", "last"), WRONG)
def test_each_failure_is_named_at_its_step(
    ana: Person,
    vendor: Vendor,
    happens: Callable[[Vendor], None],
    expected: list[tuple[str, str]],
    last: str,
) -> None:
    with_client(ana)
    happens(vendor)

    shown = tried(ana)

    assert steps(shown) == expected
    assert last in shown["trust_test"][-1]["sentence"]
    assert PathTerms.objects.exists() == (expected[-1] == ("lifetime", "done"))


def test_a_server_that_is_not_there_is_the_first_step(ana: Person) -> None:
    make.vendor("maps", owner=ana, issuer="http://127.0.0.1:1/x", resources=["http://127.0.0.1:1/mcp"])
    with_client(ana)
    assert steps(tried(ana)) == [("metadata", "failed"), ("token", "untried")]
