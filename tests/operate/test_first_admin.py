"""How the first administrator comes in: a link from the machine's own command, a password, a second factor."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.test import Client

from audit import clock
from audit.models import Event
from entitlements.people.models import Person
from governance.setup.models import Invitation
from tests import make, second_factor

pytestmark = pytest.mark.django_db
GOOD = "correct horse battery staple"
EMAIL = "ana.b@example.org"


def link(*options: str, email: str = EMAIL) -> str:
    said, aside = StringIO(), StringIO()
    call_command("first_admin", email, *options, stdout=said, stderr=aside)
    found = re.fullmatch(r"https?://[^/]+(/welcome/[\w-]{43}/)\n", said.getvalue())
    assert found
    return found[1]


def set_password(browser: Client, path: str, password: str = GOOD, again: str | None = None) -> Any:  # noqa: ANN401
    return browser.post(path, {"new_password": password, "again": password if again is None else again})


def test_the_link_leads_over_a_password_and_a_second_factor_to_recovery_codes() -> None:
    browser, path = Client(), link()
    assert b"ana-b" in browser.get(path).content

    answer = set_password(browser, path)
    assert (answer.status_code, answer["Location"]) == (302, "/settings/sign-in/totp/activate/")
    assert browser.get("/")["Location"] == "/settings/sign-in/totp/activate/"
    assert browser.get("/api/v1/me")["Location"] == "/settings/sign-in/totp/activate/"

    page = browser.get("/settings/sign-in/totp/activate/")
    assert page.status_code == 200, (page.status_code, page.headers)
    secret = browser.session["mfa.totp.secret"]
    assert page.status_code == 200
    done = browser.post("/settings/sign-in/totp/activate/", {"code": second_factor.code(secret)}, follow=True)
    assert re.search(r"recovery-codes", done.redirect_chain[-1][0])
    kinds = set(Authenticator.objects.values_list("type", flat=True))
    assert kinds == {"totp", "recovery_codes"}
    assert browser.get("/").status_code == 200
    assert Person.objects.get().has_role("admin")


def test_each_step_is_in_the_record() -> None:
    set_password(Client(), link())
    said = [event.action for event in Event.objects.order_by("at", "sequence")]
    assert said == [
        "person.registered",
        "person.role_assigned",
        "person.invited",
        "person.password_set",
        "person.signed_in",
    ]


def test_the_link_itself_is_kept_nowhere() -> None:
    path = link()
    token = path.split("/")[2]
    row = Invitation.objects.get()
    assert token not in str(row.__dict__)
    assert not Event.objects.filter(body__contains=token).exists()


def test_the_link_is_good_once() -> None:
    path = link()
    set_password(Client(), path)
    for answer in (Client().get(path), set_password(Client(), path, "another good password")):
        assert answer.status_code == 410
        assert b"invitation_spent" in answer.content
    assert Person.objects.get().check_password(GOOD)


def test_the_link_is_good_for_fifteen_minutes(at: Any) -> None:  # noqa: ANN401
    path = link()
    at(timedelta(minutes=15, seconds=1))
    assert Client().get(path).status_code == 410
    assert set_password(Client(), path).status_code == 410


def test_a_newer_link_ends_the_older_one() -> None:
    older = link()
    newer = link("--again")
    assert Client().get(older).status_code == 410
    assert Client().get(newer).status_code == 200


@pytest.mark.parametrize(("password", "again"), [("short", None), (GOOD, "another one"), ("ana.b@example.org", None)])
def test_a_bad_password_spends_nothing(password: str, again: str | None) -> None:
    path = link()
    answer = set_password(Client(), path, password, again)
    assert answer.status_code == 422
    assert Client().get(path).status_code == 200


def test_an_unknown_link_is_no_link() -> None:
    assert Client().get(f"/welcome/{'x' * 43}/").status_code == 410


def test_leaving_before_the_second_factor_does_not_go_round_it() -> None:
    set_password(Client(), link())
    browser = Client()
    browser.post("/login/", {"login": "ana-b", "password": GOOD})
    assert browser.get("/agents/")["Location"] == "/settings/sign-in/totp/activate/"


def test_where_an_administrator_exists_it_takes_a_word_which_is_recorded() -> None:
    make.person("root", roles=["admin"], password=GOOD)
    with pytest.raises(CommandError, match="There already is an administrator"):
        link()
    assert not Person.objects.filter(login="ana-b").exists()

    link("--again")
    event = Event.objects.filter(action="person.invited").get()
    assert event.detail["again"] is True


def test_after_a_first_link_that_was_never_used_another_is_made(at: Any) -> None:  # noqa: ANN401
    older = link()
    at(timedelta(minutes=1))
    assert Client().get(link()).status_code == 200
    assert Client().get(older).status_code == 410
    at(timedelta(minutes=16))
    path = link()
    set_password(Client(), path)
    with pytest.raises(CommandError, match="There already is an administrator"):
        link()


def test_an_administrator_who_only_comes_in_by_the_company_counts_too() -> None:
    make.person("root", roles=["admin"])
    with pytest.raises(CommandError, match="There already is an administrator"):
        link()


def test_an_address_must_be_one() -> None:
    with pytest.raises(CommandError, match="no e-mail address"):
        link(email="not an address")


def test_a_person_who_is_there_is_made_an_administrator() -> None:
    make.person("carol")
    link(email="CAROL@example.org")
    assert Person.objects.get(login="carol").has_role("admin")
    assert clock.now() < Invitation.objects.get().expires_at
