"""An issuer is proposed by one person and confirmed by another; its keys are discovered, and one person ends it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.test import Client as Browser

from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.errors import Forbidden, ReasonRequired
from entitlements.feed.models import Change
from entitlements.keys import public_keys
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.trusted_issuers import discovery, proposals, terms, trust
from entitlements.trusted_issuers.models import IssuerProposal, TrustedIssuer
from governance.operations import checks
from tests import make, snapshots
from tests.entitlements.edge import worlds
from tests.entitlements.trusted_issuers import providers
from tests.entitlements.trusted_issuers.providers import Keycloak

pytestmark = pytest.mark.loopback

LOGIN = "https://login.example"
PINNED = worlds.key_set(worlds.new_key("pinned"))


@dataclass
class Company:
    """Who may propose, confirm and end."""

    analyst: Person = field(default_factory=make.analyst)
    security: Person = field(default_factory=make.security)
    admin: Person = field(default_factory=lambda: make.person(roles=[Role.ADMIN]))
    alice: Person = field(default_factory=make.person)


@snapshots.restored
def make_company() -> Company:
    return Company()


@pytest.fixture
def company(db: None) -> Company:  # noqa: ARG001 - it writes
    return make_company()


def propose(company: Company, **wanted: object) -> IssuerProposal:
    usual: dict[str, object] = {"purpose": "id_jag", "jwks": PINNED, "algorithms": ["ES256"], "reason": "a partner"}
    return proposals.propose(LOGIN, by=company.analyst, **{**usual, **wanted})  # type: ignore[arg-type]


def events() -> list[str]:
    return list(Event.objects.filter(action__startswith="issuer.").order_by("at").values_list("action", flat=True))


def test_one_person_proposes_and_another_confirms(company: Company) -> None:
    proposed = propose(company)
    assert not TrustedIssuer.objects.exists(), "a proposal gives nothing"
    for other in (company.analyst, company.alice):
        with pytest.raises(proposals.AdminRoleNeeded):
            proposals.KIND.confirm(proposed.pk, by=other)
    proposals.KIND.confirm(proposed.pk, by=company.security)
    row = TrustedIssuer.objects.get()
    assert (row.issuer, row.purpose, row.enabled, row.jwks) == (LOGIN, "id_jag", True, PINNED)
    assert Change.objects.filter(trusted_issuer_id=row.pk).exists()
    with pytest.raises(proposals.KIND.over):
        proposals.KIND.confirm(proposed.pk, by=company.admin)
    assert events() == ["issuer.proposed", "issuer.trusted"]


def test_the_proposer_does_not_confirm_by_any_account(company: Company) -> None:
    proposed = proposals.propose(LOGIN, by=company.security, purpose="id_jag", jwks=PINNED)
    with pytest.raises(proposals.KIND.proposed_by_own_account):
        proposals.KIND.confirm(proposed.pk, by=company.security)
    second = make.person(roles=[Role.ADMIN])
    Person.objects.filter(pk=second.pk).update(email=company.security.email)
    second.refresh_from_db()
    with pytest.raises(proposals.KIND.proposed_by_own_account):
        proposals.KIND.confirm(proposed.pk, by=second)
    with pytest.raises(IntegrityError), transaction.atomic():  # the database says so as well
        IssuerProposal.objects.filter(pk=proposed.pk).update(
            state="in_force", confirmed_by=company.security, confirmed_at=proposed.proposed_at
        )


def test_an_edit_is_another_proposal_that_shows_the_difference(company: Company) -> None:
    make.client(None, "desk", auth="client_secret_basic", api_scopes=["agents:read"])
    first = proposals.KIND.confirm(propose(company).pk, by=company.admin)
    with pytest.raises(proposals.KIND.unchanged):
        propose(company)
    edit = propose(company, clients={"0oa1": "desk"}, strict_single_use=False)
    with pytest.raises(proposals.KIND.proposed_already):
        propose(company, strict_single_use=False)
    changed = {each.name: each.after for each in proposals.changes_of(edit)}
    assert changed == {"clients": {"0oa1": "desk"}, "strict_single_use": False}
    assert TrustedIssuer.objects.get().clients == {}, "until it is confirmed all stays"
    proposals.KIND.confirm(edit.pk, by=company.security)
    row = TrustedIssuer.objects.get()
    assert (row.clients, row.strict_single_use) == ({"0oa1": "desk"}, False)
    first.refresh_from_db()
    assert first.state == "replaced"
    assert events()[-1] == "issuer.changed"


def test_one_person_ends_it_at_once_and_two_trust_it_again(company: Company) -> None:
    trusted = proposals.KIND.confirm(propose(company).pk, by=company.admin)
    row = TrustedIssuer.objects.get()
    people.link_identity(company.alice, row, "p-7", by=SYSTEM)
    before = Change.objects.filter(trusted_issuer_id=row.pk).count()
    with pytest.raises(ReasonRequired):
        proposals.KIND.end(trusted.pk, by=company.analyst, reason=" ")
    with pytest.raises(Forbidden):
        proposals.KIND.end(trusted.pk, by=company.alice, reason="over")
    assert proposals.KIND.end(trusted.pk, by=company.analyst, reason="over").state == "ended"
    assert not TrustedIssuer.objects.get().enabled
    assert Change.objects.filter(trusted_issuer_id=row.pk).count() == before + 1
    proposals.KIND.confirm(propose(company).pk, by=company.admin)
    assert TrustedIssuer.objects.get().identities.get().subject == "p-7"
    assert events() == ["issuer.proposed", "issuer.trusted", "issuer.distrusted", "issuer.proposed", "issuer.trusted"]


def test_pinned_keys_say_what_they_sign_with(company: Company) -> None:
    keys = {"keys": [providers.rsa("pinned").as_dict(private=False)]}
    assert propose(company, jwks=keys, algorithms=[]).terms["algorithms"] == ["RS256"]


def test_an_issuer_keeps_its_purpose(company: Company) -> None:
    proposals.KIND.confirm(propose(company).pk, by=company.admin)
    with pytest.raises(trust.IssuerTaken):
        propose(company, purpose="identity")


def test_what_the_set_up_trusts_is_listed_and_ends_like_all_else(company: Company) -> None:
    row = trust.begin(LOGIN, purpose="identity", jwks=PINNED, by=SYSTEM)
    listed = IssuerProposal.objects.get()
    assert (listed.issuer, listed.state, listed.proposed_by) == (LOGIN, "in_force", None)
    proposals.KIND.end(listed.pk, by=company.security, reason="over")
    row.refresh_from_db()
    assert not row.enabled


def test_who_may_not_propose_learns_nothing(company: Company) -> None:
    with pytest.raises(Forbidden):
        proposals.propose(LOGIN, by=company.alice, purpose="nothing")


@pytest.mark.parametrize(
    ("issuer", "wanted", "refused"),
    [
        ("http://login.example", {}, trust.IssuerMalformed),
        ("https://localhost", {}, trust.IssuerMalformed),
        ("https://127.0.0.1:8443/realms/a", {}, trust.IssuerMalformed),
        ("https://login.example/?a=b", {}, trust.IssuerMalformed),
        ("https://login.example/#a", {}, trust.IssuerMalformed),
        ("https://user@login.example", {}, trust.IssuerMalformed),
        (LOGIN, {"purpose": "another"}, trust.IssuerMalformed),
        (LOGIN, {"clients": {"0oa1": "unknown"}}, terms.IssuerTermsRefused),
        (LOGIN, {"algorithms": ["RS256"]}, public_keys.BadKey),
        (LOGIN, {"jwks": {"keys": []}}, public_keys.BadKey),
    ],
)
def test_what_cannot_be_trusted_is_refused(
    company: Company, issuer: str, wanted: dict[str, object], refused: type[Exception]
) -> None:
    usual: dict[str, object] = {"purpose": "identity", "jwks": PINNED, "algorithms": ["ES256"]}
    with pytest.raises(refused):
        proposals.propose(issuer, by=company.analyst, **{**usual, **wanted})  # type: ignore[arg-type]
    assert not IssuerProposal.objects.exists()


def test_we_never_trust_our_own_issuers_as_foreign_ones(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DEMO", True)
    for ours in (addresses.issuer("idp"), addresses.issuer("as/time")):
        with pytest.raises(trust.IssuerMalformed):
            proposals.propose(ours, by=company.analyst, purpose="id_jag", jwks=PINNED)


def test_a_loopback_issuer_is_for_the_demo_alone(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DEMO", True)
    proposed = proposals.propose("http://localhost:9/a", by=company.analyst, purpose="identity", jwks=PINNED)
    proposals.KIND.confirm(proposed.pk, by=company.admin)
    assert checks.issuers_are_elsewhere(None) == []
    monkeypatch.setattr(settings, "DEMO", False)
    assert [problem.id for problem in checks.issuers_are_elsewhere(None)] == ["mandate.E013"]


# Discovery


@pytest.fixture(scope="module")
def realm() -> Iterator[Keycloak]:
    with providers.running(Keycloak()) as found:
        yield found


@pytest.fixture
def keycloak(realm: Keycloak, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keycloak]:
    monkeypatch.setattr(settings, "DEMO", True)  # loopback counts as an address only there
    kept = dict(vars(realm))
    yield realm
    vars(realm).update(kept, asked=[])


def discover(company: Company, provider: providers.Provider, **wanted: object) -> IssuerProposal:
    return proposals.propose(provider.issuer, by=company.analyst, purpose="identity", **wanted)  # type: ignore[arg-type]


def test_where_the_keys_stand_is_discovered(company: Company, keycloak: Keycloak) -> None:
    found = discover(company, keycloak).terms
    assert (found["jwks_uri"], found["algorithms"]) == (keycloak.jwks_uri, ["RS256"])


def test_metadata_of_rfc_8414_does_as_well(company: Company, keycloak: Keycloak) -> None:
    keycloak.metadata_path = "/.well-known/oauth-authorization-server/realms/acme"
    assert discover(company, keycloak).terms["jwks_uri"] == keycloak.jwks_uri


@pytest.mark.parametrize("named", ["/", "/v2.0", "/{tenantid}/v2.0"])
def test_the_issuer_is_compared_exactly(company: Company, keycloak: Keycloak, named: str) -> None:
    keycloak.metadata = {"issuer": keycloak.issuer + named}
    with pytest.raises(discovery.IssuerNamedOtherwise):
        discover(company, keycloak)


def test_what_cannot_be_discovered_is_said(company: Company, keycloak: Keycloak) -> None:
    for metadata in ({"jwks_uri": None}, {"id_token_signing_alg_values_supported": ["HS256"]}):
        keycloak.metadata = metadata
        with pytest.raises(discovery.IssuerNotDiscovered):
            discover(company, keycloak)
    keycloak.metadata = {"jwks_uri": "https://169.254.169.254/keys"}
    with pytest.raises(discovery.IssuerNotDiscovered, match="not public"):
        discover(company, keycloak)
    keycloak.status = 500
    with pytest.raises(discovery.IssuerNotDiscovered):
        discover(company, keycloak)


def test_an_address_that_is_given_is_read_before_it_is_proposed(company: Company, keycloak: Keycloak) -> None:
    found = discover(company, keycloak, jwks_uri=keycloak.jwks_uri).terms
    assert (found["algorithms"], keycloak.asked) == (["RS256"], [keycloak.keys_path])
    with pytest.raises(discovery.IssuerNotDiscovered):
        discover(company, keycloak, jwks_uri=keycloak.base + "/nowhere")


# The API


def at(person: Person) -> Browser:
    """Return the browser of a person who signed in a moment ago."""
    browser = Browser()
    browser.force_login(person)
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()
    return browser


def test_the_api_proposes_confirms_lists_and_ends(company: Company) -> None:
    make.client(None, "desk", auth="client_secret_basic", api_scopes=["agents:read"])
    http, second = at(company.analyst), at(company.security)
    sent = {"issuer": LOGIN, "purpose": "id_jag", "jwks": PINNED, "clients": {"0oa1": "desk"}, "single_use": True}
    assert at(company.alice).post("/api/v1/trusted-issuers", sent, content_type="application/json").status_code == 403
    made = http.post("/api/v1/trusted-issuers", sent, content_type="application/json")
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["state"], body["clients"], body["single_use"]) == ("proposed", {"0oa1": "desk"}, True)
    assert {change["field"] for change in body["changes"]} == {"purpose", "jwks", "algorithms", "clients"}
    confirm = f"/api/v1/trusted-issuers/{body['id']}/confirm"
    assert http.post(confirm).status_code == 403
    assert second.post(confirm).json()["state"] == "in_force"
    listed = http.get("/api/v1/trusted-issuers?state=in_force&purpose=id_jag").json()["results"]
    assert [(row["issuer"], row["confirmed_by"]) for row in listed] == [(LOGIN, company.security.login)]
    assert at(company.alice).get("/api/v1/trusted-issuers").status_code == 403
    ended = http.post(f"/api/v1/trusted-issuers/{body['id']}/end", {"reason": "over"}, content_type="application/json")
    assert ended.json()["state"] == "ended"
    bad = http.post("/api/v1/trusted-issuers", {**sent, "subject_claim": "email"}, content_type="application/json")
    assert (bad.status_code, bad.json()["code"]) == (422, "issuer_terms_refused")
