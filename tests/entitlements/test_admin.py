import time

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from entitlements.admin import ReadOnlyAdmin
from entitlements.grants.models import Grant
from entitlements.people.models import Role
from tests import make

pytestmark = pytest.mark.django_db
HIDDEN = {"password", "digest", "secret_sha256", "client_secret", "sealed", "sealed_private", "receipt", "key"}


def _signed_in(*roles: str) -> Client:
    client = Client()
    person = make.person(roles=roles)
    client.force_login(person)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]  # a moment ago
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()
    return client


def test_the_back_office_shows_and_changes_nothing() -> None:
    grant, office = make.grant(), _signed_in(Role.ANALYST)
    page = reverse("admin:entitlements_grant_change", args=[grant.pk])

    assert office.get(reverse("admin:entitlements_grant_changelist")).status_code == 200
    assert office.get(page).status_code == 200
    assert office.post(page, {"state": "revoked"}).status_code == 403
    assert office.get(reverse("admin:entitlements_grant_add")).status_code == 403
    assert office.post(reverse("admin:entitlements_grant_delete", args=[grant.pk]), {"post": "yes"}).status_code == 403
    assert Grant.objects.get(pk=grant.pk).state == "active"


def test_every_page_of_ours_opens_and_no_secret_is_on_it() -> None:
    make.grant()
    office = _signed_in(Role.ADMIN)
    for model, page in admin.site._registry.items():
        if model._meta.app_label != "entitlements":
            continue
        assert isinstance(page, ReadOnlyAdmin), model
        assert office.get(reverse(f"admin:entitlements_{model._meta.model_name}_changelist")).status_code == 200
        assert HIDDEN.isdisjoint(page.get_fields(None)), model  # type: ignore[arg-type]


def test_without_a_role_the_back_office_stays_shut() -> None:
    answer = _signed_in().get(reverse("admin:entitlements_grant_changelist"))
    assert answer.status_code == 302


def test_no_other_app_opens_a_page_that_writes_our_rows() -> None:
    ours = set(apps.get_app_config("entitlements").get_models())
    writable = [
        model for model, page in admin.site._registry.items() if model in ours and not isinstance(page, ReadOnlyAdmin)
    ]
    assert writable == []
