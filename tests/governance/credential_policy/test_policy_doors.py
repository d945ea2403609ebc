"""The age of credentials, and rotations, over REST and in the console."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audit.context import Principal
from audit.models import Event
from entitlements.clients import rotations
from entitlements.conflicts import independence
from entitlements.credential_policy import policy
from entitlements.credential_policy.rules import DEFAULT_DAYS, Kind
from entitlements.people.models import Person
from governance.credential_policy.models import CredentialPolicyProposal
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.proofs import Holder

pytestmark = pytest.mark.django_db
HERE = "/settings/credential-policy/"
PATH = "/api/v1/credential-policy-proposals"
DAYS = {kind.value: days for kind, days in DEFAULT_DAYS.items()}
WHY = {"reason": "Shorter."}

made_world, company = shared.world(companies.found)


def test_a_policy_is_proposed_by_one_and_confirmed_by_another_over_rest(company: Company) -> None:
    resa, rob, ana = (client.proven(each) for each in (company.resa, company.rob, company.ana))
    asked = {"days": {**DAYS, "client_key": 90}, "overlap_hours": 48, "stops_upstream_secrets": True, **WHY}
    assert ana.post(PATH, asked, format="json").status_code == 403
    for days in ({**DAYS, "client_key": 0}, {"client_key": 90}, {**DAYS, "other": 1}):
        assert resa.post(PATH, {**asked, "days": days}, format="json").status_code == 400
    made = resa.post(PATH, asked, format="json")
    assert (made.status_code, made.json()["days"]["client_key"]) == (201, 90)
    one = f"{PATH}/{made.json()['id']}"
    assert resa.post(f"{one}/confirm", WHY, format="json").json()["code"] == "credential_policy_proposed_by_own_account"
    unproven = client.of(company.rob).post(f"{one}/confirm", WHY, format="json")
    assert unproven.json()["code"] == "reauthentication_required"
    confirmed = rob.post(f"{one}/confirm", WHY, format="json").json()
    assert (confirmed["state"], confirmed["confirmed_by"]) == ("in_force", "rob")
    (newest, *_) = ana.get("/api/v1/credential-policies").json()["results"]
    assert (newest["number"], newest["days"]["client_key"], newest["overlap_hours"]) == (confirmed["number"], 90, 48)


def test_a_policy_is_proposed_and_confirmed_in_the_console(company: Company) -> None:
    resa, rob, ana = (visits.as_(each) for each in (company.resa, company.rob, company.ana))
    assert "365 days" in visits.text(ana.get(HERE))
    assert ana.get(f"{HERE}propose/").status_code == 403
    assert visits.as_(company.mallory).get(HERE).status_code == 403
    form = {**{kind: str(days) for kind, days in DAYS.items()}, "overlap_hours": "48", **WHY, "client_secret": "90"}
    assert "credential" in visits.text(resa.post(f"{HERE}propose/", {**form, "client_secret": "0"}))
    shown = visits.text(resa.post(f"{HERE}propose/", form, follow=True))
    assert "Another person confirms it." in shown
    one = f"{HERE}{CredentialPolicyProposal.objects.get().pk}/"
    assert resa.post(one, {"verb": "confirm", **WHY}).status_code == 403
    rob.post(one, {"verb": "confirm", **WHY})
    assert policy.current().limits[Kind.CLIENT_SECRET].days == 90
    assert "Credentials that worked when this came into force work until" in visits.text(ana.get(HERE))


def post(person: Person, path: str, **body: Any) -> Any:  # noqa: ANN401 - Django's test response
    return client.proven(person).post(f"/api/v1/clients/{path}", body, format="json")


def test_keys_are_replaced_and_a_rotation_is_revoked_by_who_is_responsible(company: Company) -> None:
    made, _ = make.client(company.bot, "signer")
    other = {"keys": [Holder().public]}
    waits = post(company.ana, "signer/keys", jwks=other, **WHY)
    assert (waits.status_code, waits.json()["purpose"]) == (202, "keys")
    assert post(company.mallory, "signer/keys", jwks=other, **WHY).status_code == 404
    given = post(company.otto, "signer/keys", jwks=other, keep_previous=True, **WHY).json()
    assert (given["jwks"], given["previous_ends_at"] is not None) == (other, True)
    same = {"keys": [{**make.PUBLIC_KEY, "kid": "same"}]}
    assert post(company.otto, "signer/keys", jwks=same, **WHY).json()["code"] == "key_is_not_new"
    assert post(company.otto, "signer/keys", jwks={"keys": []}, **WHY).json()["code"] == "bad_key"
    assert post(company.bob, "signer/rotation/revoke", **WHY).status_code == 404
    back = post(company.sofia, "signer/rotation/revoke", **WHY).json()
    assert (back["jwks"], back["previous_ends_at"]) == (made.jwks, None)
    assert post(company.sofia, "signer/rotation/revoke", **WHY).json()["code"] == "client_not_rotated"
    make.client(company.bot, "secretive", auth="client_secret_basic")
    assert post(company.otto, "secretive/keys", jwks=other, **WHY).json()["code"] == "client_has_no_keys"


def test_the_page_of_a_client_replaces_keys_and_revokes_a_rotation(company: Company) -> None:
    made, _ = make.client(company.bot, "signer")
    page, otto = "/agents/research-bot/clients/signer/", visits.as_(company.otto)
    assert "Replace the keys" in visits.text(otto.get(page))
    other = {"keys": [Holder().public]}
    sent = {"verb": "keys", "jwks": json.dumps(other), "keep_previous": "on", **WHY}
    assert otto.post(page, {**sent, "jwks": "{"}).status_code == 400
    assert "Previous credential" in visits.text(otto.post(page, sent, follow=True))
    otto.post(page, {"verb": "revoke-rotation", **WHY})
    made.refresh_from_db()
    assert (made.jwks, made.previous_ends_at) == ({"keys": [make.PUBLIC_KEY]}, None)
    secretive, _ = make.client(company.bot, "secretive", auth="client_secret_basic")
    page = "/agents/research-bot/clients/secretive/"
    assert "Client secret, shown once" in visits.text(otto.post(page, {"verb": "rotate", "keep_previous": "on", **WHY}))
    secretive.refresh_from_db()
    assert secretive.previous_ends_at is not None
    assert Event.objects.filter(action="client.rotation_revoked").count() == 1


def test_who_held_the_keys_of_a_script_stands_behind_it(company: Company) -> None:
    script, _ = make.client(None, "script")
    by = company.resa.principal
    with pytest.raises(rotations.KeyNotNew):
        rotations.replace_keys(script, {"keys": [{**make.PUBLIC_KEY, "kid": "o"}]}, by=by, reason="Mine.")
    rotations.replace_keys(script, {"keys": [Holder().public]}, by=by, reason="Mine.")
    assert independence.behind(Principal("client", "script")) == {"resa"}
