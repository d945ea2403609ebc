"""The back office is no second front door: it has no sign-in of its own, and opens only to a fresh proof."""

from __future__ import annotations

import time

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver

from entitlements.people.models import OFFICE, Person, Role
from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


def test_its_own_sign_in_takes_no_password() -> None:
    make.person("ana", roles=[Role.ANALYST], password=PASSWORD)
    browser = Client()

    answer = browser.post("/admin/login/?next=/admin/", {"username": "ana", "password": PASSWORD})

    assert (answer.status_code, answer["Location"]) == (302, "/login/?next=/admin/")
    assert browser.get("/").status_code == 302, "nobody is signed in"


def test_its_own_password_form_is_the_consoles() -> None:
    browser = visits.as_(make.person("ana", roles=[Role.ANALYST], password=PASSWORD))
    form = {"old_password": PASSWORD, "new_password1": PASSWORD + "!", "new_password2": PASSWORD + "!"}

    answer = browser.post("/admin/password_change/", form)

    assert answer["Location"] == "/settings/password/"
    assert Person.objects.get(login="ana").check_password(PASSWORD)


def test_an_old_proof_of_who_comes_in_is_asked_for_again() -> None:
    browser = visits.as_(make.person("ana", roles=[Role.ANALYST], password=PASSWORD))
    assert browser.get("/admin/entitlements/grant/").status_code == 200
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 301}]
    session.save()

    assert browser.get("/admin/entitlements/grant/")["Location"].startswith("/login/again/")


def test_whoever_can_prove_it_only_at_the_company_is_told_so() -> None:
    answer = visits.as_(make.person("ana", roles=[Role.ANALYST]), fresh=False).get("/admin/")

    assert answer.status_code == 403
    assert "step_up_required" in visits.text(answer)


@pytest.mark.parametrize("role", ["", *Role.values])
def test_it_opens_by_role(role: str) -> None:
    browser = visits.as_(make.person(roles=[role] if role else []))

    status = browser.get("/admin/entitlements/grant/", follow=True).status_code

    assert status == (200 if role in OFFICE else 403)


def test_a_stranger_is_sent_to_the_consoles_sign_in_from_each_of_its_addresses() -> None:
    addresses = [address for address in _addresses() if "<" not in address and "(" not in address]
    assert len(addresses) > 20
    for address in addresses:
        answer = Client().get(f"/{address}", follow=True)
        assert answer.redirect_chain[-1][0].startswith("/login/?next="), address


def _addresses() -> list[str]:
    def walk(resolver: URLResolver, prefix: str) -> list[str]:
        found = []
        for each in resolver.url_patterns:
            address = prefix + str(each.pattern)
            found += walk(each, address) if isinstance(each, URLResolver) else [address]
        return found

    return [address for address in walk(get_resolver(), "") if address.startswith("admin/")]
