"""Which account at the company is whose: its holder says so, signed in here and there, once and within minutes."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib.sessions.backends.db import SessionStore
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from entitlements.people.models import Identity, Person
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.sign_in import company_sign_in
from tests import make
from tests.governance import setups

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> Person:
    return setups.admin("ada")


def come_back(person: Person, session: SessionStore, *, nonce: str = "ours") -> list[str]:
    """Come back from the company's sign-in as a subject that is nobody's yet; return who it was taken for."""
    request = RequestFactory().get("/login/company/callback/")
    request.session, request.user = session, person
    taken: list[str] = []
    login = SimpleNamespace(
        account=SimpleNamespace(uid="00u-new", extra_data={"id_token": {"iss": setups.ISSUER, "nonce": nonce}}),
        state={"nonce": "ours"},
        is_existing=False,
        user=None,
        connect=lambda _request, whom: taken.append(whom.login),
    )
    with contextlib.suppress(ImmediateHttpResponse):
        company_sign_in.CompanyAccountAdapter().pre_social_login(request, login)
    return taken


@pytest.fixture
def session(ada: Person, settings: Settings) -> SessionStore:
    """A session in which ada said a moment ago that the next account is hers; the issuer is trusted."""
    settings.OIDC_ISSUER = setups.ISSUER
    purpose = TrustedIssuer.Purpose.IDENTITY
    trust.begin(setups.ISSUER, purpose=purpose, jwks_uri=f"{setups.ISSUER}/jwks", by=ada.principal)
    request = RequestFactory().get("/")
    request.session, request.user = SessionStore(), ada
    company_sign_in.allow_link(request)
    return request.session


def test_the_next_account_is_the_persons_once(ada: Person, session: SessionStore) -> None:
    assert come_back(ada, session) == ["ada"]
    assert Identity.objects.get().person == ada
    Identity.objects.all().delete()
    assert come_back(ada, session) == []


def test_an_answer_to_another_question_links_nothing(ada: Person, session: SessionStore) -> None:
    assert come_back(ada, session, nonce="theirs") == []
    assert not Identity.objects.exists()


def test_nobody_else_and_nobody_later_is_linked(ada: Person, session: SessionStore) -> None:
    assert come_back(make.person("bob"), session) == []
    session["company_account_to_link"]["until"] = 0
    assert come_back(ada, session) == []
    assert not Identity.objects.exists()


def test_without_having_asked_an_unknown_account_is_nobodys(ada: Person, session: SessionStore) -> None:
    del session["company_account_to_link"]
    assert come_back(ada, session) == []


def test_an_account_of_an_issuer_that_is_distrusted_is_nobodys(ada: Person, session: SessionStore) -> None:
    TrustedIssuer.objects.update(enabled=False)
    assert come_back(ada, session) == []
