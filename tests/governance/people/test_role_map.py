"""Roles by groups at the screen, by API, and at the company's real sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from entitlements.people import people
from entitlements.people.models import GroupMapping, Person, Role
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.browser import company_idp
from tests.entitlements.api import client
from tests.governance.console import visits

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]
ADDRESS = "/settings/role-map/"
"""Where the console shows the map."""


@pytest.fixture
def provider(settings: Settings) -> Iterator[company_idp.Provider]:
    with company_idp.running() as found:
        settings.DEMO, settings.OIDC_ISSUER = True, found.issuer
        app = {"provider_id": "company", "name": "Example", "client_id": company_idp.CLIENT}
        ours = {"server_url": found.issuer, "fetch_userinfo": False, "oauth_pkce_enabled": True}
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {"APPS": [{**app, "secret": company_idp.SECRET, "settings": ours}]}
        }
        yield found


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: where it leads is what is asked."""


def sign_in(provider: company_idp.Provider, subject: str) -> Client:
    """Go the way of a browser: to the company, be somebody there, and back with a code."""
    browser = Client()
    there = browser.get("/login/company/")
    if there.status_code != 302:
        there = browser.post("/login/company/")
    opener = build_opener(_Stay)
    with opener.open(there["Location"]):
        number = len(provider.asked) - 1
    with pytest.raises(HTTPError) as answer:
        opener.open(f"{provider.issuer}/signed-in?n={number}&sub={subject}")
    answer.value.close()
    back = urlsplit(answer.value.headers["Location"])
    browser.get(back.path, dict(parse_qsl(back.query)))
    return browser


def roles(login: str) -> list[str]:
    return [each.role for each in Person.objects.get(login=login).current_roles]


def test_two_people_map_a_group_and_each_sign_in_gives_or_takes_the_role(provider: company_idp.Provider) -> None:
    ada, ann, carol = (make.person(login, roles=given) for login, given in WHO.items())
    issuer = trust.begin(
        provider.issuer, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{provider.issuer}/jwks", by=ada.principal
    )
    people.link_identity(carol, issuer, "subject-1", by=SYSTEM)
    form = {"verb": "propose", "issuer": issuer.pk, "claim": "groups", "value": "SecOps", "role": "security"}
    visits.as_(ada).post(ADDRESS, {**form, "reason": "They approve."})
    row = GroupMapping.objects.get()
    provider.lie = {"groups": ["SecOps"]}
    sign_in(provider, "subject-1")
    assert roles("carol") == []

    act = {"verb": "confirm", "mapping": str(row.pk), "reason": "Seen."}
    assert visits.as_(ada).post(ADDRESS, act).status_code == 403
    assert visits.as_(ann).post(ADDRESS, act).status_code == 302
    assert sign_in(provider, "subject-1").get("/").status_code == 200
    assert roles("carol") == ["security"]
    provider.lie = {"groups": ["Others"]}
    assert sign_in(provider, "subject-1").get("/").status_code == 200
    assert roles("carol") == []


WHO = {"ada": [Role.ADMIN], "ann": [Role.ADMIN], "carol": []}


def test_without_a_fresh_proof_or_the_role_nothing_is_proposed() -> None:
    form = {"verb": "propose", "claim": "groups", "value": "x", "role": "security", "reason": "x"}
    assert visits.as_(make.person("ada", roles=[Role.ADMIN]), fresh=False).post(ADDRESS, form).status_code != 200
    assert visits.as_(make.person("mallory")).post(ADDRESS, form).status_code == 403
    assert not GroupMapping.objects.exists()


def test_the_same_by_api() -> None:
    ada, ann, _carol = (make.person(login, roles=given) for login, given in WHO.items())
    address = "https://login.example.org"
    trust.begin(address, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{address}/jwks", by=ada.principal)
    body = {"issuer": address, "value": "SecOps", "role": "security", "reason": "They approve."}
    assert client.of(make.person()).post("/api/v1/group-mappings", body, format="json").status_code == 403
    admin = client.proven(ada).post("/api/v1/group-mappings", {**body, "role": "admin"}, format="json")
    assert admin.json()["code"] == "group_mapping_not_allowed"
    made = client.proven(ada).post("/api/v1/group-mappings", body, format="json")
    assert [made.status_code, made.json()["claim"], made.json()["confirmed_by"]] == [201, "groups", None]
    path, why = f"/api/v1/group-mappings/{made.json()['id']}", {"reason": "Seen."}
    assert (
        client.proven(ada).post(f"{path}/confirm", why, format="json").json()["code"]
        == "group_mapping_proposed_by_own_account"
    )
    assert client.proven(ann).post(f"{path}/confirm", why, format="json").json()["confirmed_by"] == "ann"
    assert client.proven(ann).post(f"{path}/end", why, format="json").json()["ended_at"] is not None
    assert client.of(ann).get("/api/v1/group-mappings?ended=false").json()["results"] == []
