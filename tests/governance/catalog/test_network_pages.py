"""The page of a system's network: proposed in a form, confirmed by another, and a certificate that only goes in."""

from __future__ import annotations

import pytest

from entitlements.networks import network
from entitlements.networks.models import ClientCertificate, SystemNetwork
from entitlements.people.models import Role
from tests import make
from tests.entitlements.networks.certificates import Authority
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
COMPANY = Authority()
PAGE = "/systems/erp/network/"


def test_a_network_is_proposed_in_the_form_confirmed_by_another_and_ended() -> None:
    sam, ada = make.person("sam"), make.person("ada", roles=[Role.ADMIN])
    system = make.system("erp", owner=sam)
    form = {"prefixes": "10.20.0.0/16\n192.168.7.0/24", "company_ca": COMPANY.pem, "reason": "It is at home."}
    answer = visits.as_(sam).post(PAGE, form)
    assert answer.status_code == 302, visits.text(answer)
    proposed = SystemNetwork.objects.get()
    page = visits.text(visits.as_(sam).get(PAGE))
    assert 'value="confirm"' not in page
    page = visits.text(visits.as_(ada).get(PAGE))
    assert "10.20.0.0/16, 192.168.7.0/24" in page
    assert "CN=Example CA" in page
    assert "It is at home." in page
    visits.as_(ada).post(f"{PAGE}{proposed.pk}/", {"verb": "confirm"})
    assert network.open_for(system) is not None
    assert "10.20.0.0/16" in visits.text(visits.as_(sam).get("/systems/erp/"))
    visits.as_(ada).post(f"{PAGE}{proposed.pk}/", {"verb": "end", "reason": "over"})
    assert network.open_for(system) is None


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"prefixes": "127.0.0.0/8"}, "network_forbidden"),
        ({"prefixes": "ten"}, "network_malformed"),
        ({"company_ca": "x"}, "network_malformed"),
        ({"reason": ""}, "required"),
    ],
)
def test_what_is_wrong_is_said_at_the_form(changed: dict[str, str], code: str) -> None:
    sam = make.person("sam")
    make.system("erp", owner=sam)
    answer = visits.as_(sam).post(PAGE, {"prefixes": "10.0.0.0/8", "reason": "x", **changed})
    assert answer.status_code in (403, 422)
    assert code in visits.text(answer)
    assert not SystemNetwork.objects.exists()


def test_a_client_certificate_goes_in_and_its_key_is_never_shown() -> None:
    sam, pair = make.person("sam"), COMPANY.for_client()
    make.system("erp", owner=sam)
    at = "/systems/erp/client-certificate/"
    refused = visits.as_(sam).post(at, {"chain": pair.certificate, "key": COMPANY.for_client().key})
    assert "client_certificate_malformed" in visits.text(refused)
    answer = visits.as_(sam).post(at, {"chain": pair.certificate, "key": pair.key})
    assert answer.status_code == 302, visits.text(answer)
    stored = ClientCertificate.objects.get()
    page = visits.text(visits.as_(sam).get(PAGE))
    assert stored.fingerprint in page
    assert pair.key.splitlines()[1] not in page
    assert "PRIVATE KEY" not in page
    visits.as_(sam).post(f"{at}forget/", {"reason": "over"})
    assert not ClientCertificate.objects.exists()


def test_who_does_not_answer_for_the_system_sees_no_network() -> None:
    sam, mona = make.person("sam"), make.person("mona")
    make.system("erp", owner=sam)
    make.agent(sponsor=mona)
    visits.as_(sam).post(PAGE, {"prefixes": "10.20.0.0/16", "reason": "x"})
    page = visits.as_(mona).get(PAGE)
    assert "10.20.0.0/16" not in visits.text(page)
    pk = SystemNetwork.objects.get().pk
    assert visits.as_(mona).post(f"{PAGE}{pk}/", {"verb": "withdraw", "reason": "x"}).status_code in (403, 404)
