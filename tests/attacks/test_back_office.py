"""The back office is no second front door: it has no sign-in of its own, and opens only to a fresh proof."""

from __future__ import annotations

import time

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
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


def test_no_row_is_found_by_a_column_that_is_not_shown() -> None:
    """A list that takes `password__startswith` reads a password out, letter by letter."""
    request, tried = RequestFactory().get("/"), 0
    for model, each in admin.site._registry.items():
        hidden = {field.name for field in model._meta.fields} - {*each.list_display, *map(str, each.list_filter)}
        found = [
            name for name in hidden for how in ("", "__startswith") if each.lookup_allowed(name + how, "a", request)
        ]
        assert not found, model
        tried += len(hidden)
    assert tried > 100


def test_each_filter_that_a_list_offers_can_be_chosen() -> None:
    browser, chosen = visits.as_(make.analyst()), 0
    for model, each in admin.site._registry.items():
        for name in (str(getattr(each, "parameter_name", each)) for each in each.list_filter):
            where = f"/admin/{model._meta.app_label}/{model._meta.model_name}/?{name}=me"
            is_field = name in {field.name for field in model._meta.fields}
            assert browser.get(where if not is_field else where.replace("=me", "__isnull=False")).status_code == 200, (
                where
            )
            chosen += 1
    assert chosen > 10


def test_a_password_is_not_read_out_letter_by_letter() -> None:
    make.person("victim", password="correct horse battery staple")
    browser = visits.as_(make.analyst())
    assert browser.get("/admin/entitlements/person/?is_active__exact=1").status_code == 200
    assert browser.get("/admin/entitlements/person/?password__startswith=a").status_code == 400
