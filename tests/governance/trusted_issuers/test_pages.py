"""The page of trusted issuers: proposed in a form, confirmed by another, with what changes and how the keys are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.people.models import Role
from entitlements.trusted_issuers import proposals, trust, watch
from entitlements.trusted_issuers.models import IssuerKeys, IssuerProposal, TrustedIssuer
from tests import make
from tests.entitlements.edge import worlds
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

LOGIN = "https://login.example"
PINNED = worlds.new_key("pinned")
KEYS = worlds.key_set(PINNED)
PAGE = "/settings/trusted-issuers/"
FORM = {
    "issuer": LOGIN,
    "purpose": "identity",
    "strict_single_use": "on",
    "jwks": str(KEYS).replace("'", '"'),
    "clients": "0oa1 = desk\n",
    "subject_claim": "sub",
    "reason": "Our Okta.",
}


def test_an_issuer_is_proposed_in_the_form_and_confirmed_by_another() -> None:
    make.client(None, "desk", auth="client_secret_basic", api_scopes=["agents:read"])
    ana, ada = make.analyst("ana"), make.person("ada", roles=[Role.ADMIN])
    answer = visits.as_(ana).post(f"{PAGE}propose/", {**FORM, "algorithms": "ES256"})
    assert answer.status_code == 302, visits.text(answer)
    proposed = IssuerProposal.objects.get()
    assert (proposed.terms["clients"], proposed.terms["jwks"]) == ({"0oa1": "desk"}, KEYS)

    page = visits.text(visits.as_(ana).get(PAGE))
    assert 'value="confirm"' not in page
    assert 'value="withdraw"' in page
    page = visits.text(visits.as_(ada).get(PAGE))
    assert "0oa1 → desk" in page
    assert "Our Okta." in page
    assert PINNED.material.thumbprint() in page, "which key it is, whatever it is called"
    answer = visits.as_(ada).post(f"{PAGE}{proposed.pk}/", {"verb": "confirm"})
    assert answer.headers["Location"] == PAGE
    assert TrustedIssuer.objects.get().enabled
    assert "Proposed by Ana, confirmed by Ada." in visits.text(visits.as_(ana).get(PAGE))


def test_other_terms_begin_with_those_in_force_and_show_what_changes() -> None:
    ana = make.analyst("ana")
    trust.begin(LOGIN, purpose="identity", jwks=KEYS, by=SYSTEM)
    form = visits.text(visits.as_(ana).get(f"{PAGE}propose/?of={LOGIN}"))
    assert LOGIN in form
    assert "&quot;kid&quot;" in form
    proposals.propose(LOGIN, by=ana, purpose="identity", jwks=KEYS, subject_claim="oid")
    page = visits.text(visits.as_(ana).get(PAGE))
    assert "<del>sub</del> <ins>oid</ins>" in page


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"clients": "0oa1"}, "name there = name here"),
        ({"clients": "a = desk\na = other"}, "name there = name here"),
        ({"jwks": "{"}, "This is not JSON."),
        ({"jwks": "[]"}, "A key set is an object"),
        ({"jwks_uri": "https://login.example/keys"}, "not both"),
        ({"subject_claim": "email"}, "issuer_terms_refused"),
        ({"issuer": "http://login.example"}, "issuer_malformed"),
        ({"clients": "0oa1 = unknown"}, "issuer_terms_refused"),
        ({"purpose": "vendor"}, "invalid_choice"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(changed: dict[str, str], words: str) -> None:
    make.client(None, "desk", auth="client_secret_basic", api_scopes=["agents:read"])
    answer = visits.as_(make.analyst()).post(f"{PAGE}propose/", {**FORM, **changed})
    assert answer.status_code == 422
    assert words in visits.text(answer)
    assert not IssuerProposal.objects.exists()


def test_the_page_says_how_the_keys_are_as_a_worker_saw_them() -> None:
    ana, now = make.analyst(), clock.now()
    row = trust.begin(LOGIN, purpose="identity", jwks_uri=f"{LOGIN}/keys", by=SYSTEM)
    assert "Each node fetches its own keys." in visits.text(visits.as_(ana).get(PAGE))
    seen = IssuerKeys.objects.create(
        issuer=row, keys=[{"kid": "k-7", "alg": "ES256"}], fetched_at=now - timedelta(minutes=20), tried_at=now
    )
    assert "k-7 (ES256)" in visits.text(visits.as_(ana).get(PAGE))
    seen.failing_since, seen.problem = now - timedelta(minutes=15), "The other side did not answer."
    seen.save()
    page = visits.text(visits.as_(ana).get(PAGE))
    assert "Keys unreachable" in page
    assert "accepts its tokens until about" in page
    IssuerKeys.objects.update(fetched_at=now - watch.SERVES - timedelta(minutes=1))
    assert "Its tokens are refused since" in visits.text(visits.as_(ana).get(PAGE))


def test_one_person_ends_it_with_a_reason() -> None:
    trust.begin(LOGIN, purpose="identity", jwks=KEYS, by=SYSTEM)
    at = f"{PAGE}{IssuerProposal.objects.get().pk}/"
    security = visits.as_(make.security())
    assert security.post(at, {"verb": "end"}).status_code == 422
    assert security.post(at, {"verb": "end", "reason": "over"}).status_code == 302
    assert not TrustedIssuer.objects.get().enabled


def test_who_sees_no_issuers_finds_no_page() -> None:
    assert visits.as_(make.person()).get(PAGE).status_code == 403


@pytest.mark.parametrize("words", ["trusted", "Okta", "idp", "Cross App", "jwks"])
def test_the_command_bar_knows_what_others_call_it(words: str) -> None:
    assert PAGE in visits.text(visits.as_(make.analyst()).get("/search/", {"q": words}))
