"""Whoever is disabled and enabled again begins anew: no sign-in, token or link of before opens anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.people import people
from entitlements.people.models import ApiToken, Person, Role
from entitlements.people_sources import people_files
from entitlements.people_sources.models import PeopleSource
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from governance.setup import first_admin
from tests import make
from tests.entitlements.api import client as api
from tests.governance.console import visits
from tests.governance.scim.directory import Directory

pytestmark = pytest.mark.django_db
LOGIN = "alice"


class Ways:
    """One way to disable alice and to enable her again, each by those who may."""

    def __init__(self) -> None:
        """Let a directory bring her, so that it may take her away."""
        self.okta = Directory()
        self.entry = self.okta.add(LOGIN, active=True)
        self.source = PeopleSource.objects.get(slug="okta")
        self.ana, self.mona = make.analyst("ana"), make.person("mona", roles=[Role.ADMIN])

    @property
    def alice(self) -> Person:
        """The person as she is now."""
        return Person.objects.get(login=LOGIN)

    def by_verb(self) -> None:
        people.disable(self.alice, by=self.ana.principal, reason="Left.")
        people.enable(self.alice, by=self.mona.principal, reason="Back.")

    def by_api(self) -> None:
        answer = api.of(self.ana).post(f"/api/v1/people/{LOGIN}/disable", {"reason": "Left."}, format="json")
        assert answer.status_code == 200, answer.content
        people.enable(self.alice, by=self.mona.principal, reason="Back.")

    def by_revocation(self) -> None:
        revocation.revoke(Target("person", LOGIN), by=self.ana.principal, reason="Left.", wait=False)
        people.enable(self.alice, by=self.mona.principal, reason="Back.")

    def by_console(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(revocation, "settle", lambda made: made)  # no node reads what this test never commits
            answer = visits.as_(self.ana).post(f"/stop/person/{LOGIN}/", {"reason": "Left.", "typed": LOGIN})
        assert answer.status_code == 302
        people.enable(self.alice, by=self.mona.principal, reason="Back.")

    def by_directory(self) -> None:
        for active in (False, True):
            operation = {"op": "replace", "path": "active", "value": active}
            assert self.okta.patch(f"Users/{self.entry['id']}", operation).status_code == 200

    def by_file(self) -> None:
        for active in ("false", "true"):
            text = f"login,name,active\n{LOGIN},Alice,{active}\n"
            seen = people_files.plan(self.source, text, complete=False, by=self.mona.principal).digest
            people_files.apply(self.source, text, complete=False, seen=seen, by=self.mona.principal, reason="From HR.")


WAYS: list[Callable[[Ways], None]] = [
    Ways.by_verb,
    Ways.by_api,
    Ways.by_revocation,
    Ways.by_console,
    Ways.by_directory,
    Ways.by_file,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_session_and_no_personal_token_of_before_comes_back(way: Callable[[Ways], None]) -> None:
    ways = Ways()
    browser, script = visits.as_(ways.alice), api.of(ways.alice)
    assert (browser.get("/requests/").status_code, script.get("/api/v1/me").status_code) == (200, 200)

    way(ways)

    assert ways.alice.is_active
    assert browser.get("/requests/").status_code == 302
    assert browser.get("/api/v1/me").status_code == 401
    assert script.get("/api/v1/me").status_code == 401
    ended = Event.objects.get(action="api_token.revoked", links__contains=[f"person:{LOGIN}"])
    assert ended.detail["number"] == ApiToken.objects.get(person=ways.alice).pk
    assert visits.as_(ways.alice).get("/requests/").status_code == 200


def test_what_was_left_by_a_release_that_ended_nothing_ends_when_the_person_is_enabled() -> None:
    alice, mona = make.person(LOGIN), make.person("mona")
    browser, script = visits.as_(alice), api.of(alice)
    Person.objects.filter(pk=alice.pk).update(is_active=False, disabled_at=clock.now())

    people.enable(alice, by=mona.principal, reason="Back.")

    assert browser.get("/requests/").status_code == 302
    assert script.get("/api/v1/me").status_code == 401


def test_an_invitation_of_before_opens_nothing() -> None:
    alice = make.person(LOGIN)
    token = first_admin.make_link(alice, by=SYSTEM, reason="Welcome.")
    people.disable(alice, by=SYSTEM, reason="Left.")
    people.enable(alice, by=SYSTEM, reason="Back.")

    for use in (first_admin.holder, lambda link: first_admin.accept(link, "correct horse battery staple")):
        with pytest.raises(first_admin.InvitationSpent):
            use(token)
    assert first_admin.holder(first_admin.make_link(alice, by=SYSTEM, reason="Again.")) == alice


def test_sessions_of_whoever_was_never_disabled_are_those_of_before() -> None:
    """The release before computes the same: nobody is signed out by an upgrade."""
    alice = make.person(LOGIN)
    assert alice.get_session_auth_hash() == super(Person, alice).get_session_auth_hash()
    browser: Client = visits.as_(alice)
    assert browser.get("/requests/").status_code == 200
