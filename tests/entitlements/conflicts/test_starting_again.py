"""Fast to stop, slow to start: whoever stopped an entitlement, a client or a person does not start it again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audit import clock
from audit.context import SYSTEM, Principal
from entitlements.catalog import entitlements
from entitlements.catalog.models import Entitlement
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.conflicts.independence import SecondPersonNeeded
from entitlements.people import people
from entitlements.people.models import Person, Role
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
SCRIPT = Principal("client", "a-script")


def entitlement() -> tuple[Callable[[Principal], object], Callable[[Principal], object]]:
    system = make.system("clock")
    made = make.entitlement(system, make.tool(system))
    return (
        lambda by: entitlements.edit_entitlement(made, enabled=False, by=by),
        lambda by: entitlements.edit_entitlement(Entitlement.objects.get(pk=made.pk), enabled=True, by=by),
    )


def credential() -> tuple[Callable[[Principal], object], Callable[[Principal], object]]:
    made, _ = make.client(make.agent("bot"), "desk")
    return (
        lambda by: clients.disable(made, by=by, reason="Leaked."),
        lambda by: clients.enable(Client.objects.get(pk=made.pk), by=by, reason="Cleaned."),
    )


def person() -> tuple[Callable[[Principal], object], Callable[[Principal], object]]:
    bob = make.person("bob")
    return (
        lambda by: people.disable(bob, by=by, reason="Left."),
        lambda by: people.enable(Person.objects.get(pk=bob.pk), by=by, reason="Back."),
    )


@pytest.mark.parametrize("thing", [entitlement, credential, person])
def test_whoever_stopped_it_and_a_script_do_not_start_it_and_a_second_person_does(
    thing: Callable[[], tuple[Callable[[Principal], object], Callable[[Principal], object]]],
) -> None:
    one, other = make.person("one", roles=[Role.ANALYST]), make.person("other", roles=[Role.ANALYST])
    stop, start = thing()
    stop(other.principal)
    start(one.principal)
    stop(one.principal)
    for by in (one.principal, SCRIPT):
        with pytest.raises(SecondPersonNeeded):
            start(by)
    start(other.principal)
    stop(one.principal)
    start(SYSTEM)


def test_another_account_of_whoever_stopped_it_is_no_second_person() -> None:
    one, again = (make.person(login, roles=[Role.ANALYST]) for login in ("one", "one-again"))
    Person.objects.filter(pk=again.pk).update(email=one.email.upper())
    stop, start = credential()
    stop(one.principal)
    with pytest.raises(SecondPersonNeeded):
        start(again.principal)


def test_other_changes_of_an_entitlement_are_no_stops() -> None:
    one, other = make.person("one"), make.person("other")
    stop, start = entitlement()
    stop(one.principal)
    made = Entitlement.objects.get()
    entitlements.edit_entitlement(made, sentence="Tells the time.", by=other.principal)
    with pytest.raises(SecondPersonNeeded):
        start(one.principal)
    start(other.principal)


def test_a_client_that_nobody_used_was_stopped_by_nobody() -> None:
    one = make.person("one")
    stop, start = credential()
    other = make.person("other")
    stop(one.principal)
    start(other.principal)
    Client.objects.update(status=Client.Status.DISABLED, idle=Client.Idle.CLOSED, idle_since=clock.now())
    start(one.principal)
    assert Client.objects.get().status == "active"


def test_every_door_refuses_with_one_code() -> None:
    admin = make.person("ada", roles=[Role.ADMIN, Role.ANALYST, Role.SECURITY])
    stops = [thing()[0] for thing in (entitlement, credential, person)]
    for stop in stops:
        stop(admin.principal)
    why, script, page = {"reason": "I was wrong."}, client.proven(admin), visits.as_(admin)
    for act in ("clients/desk/enable", "people/bob/enable"):
        told = script.post(f"/api/v1/{act}", why, format="json")
        assert (told.status_code, told.json()["code"]) == (403, "second_person_required"), act
    made = Entitlement.objects.get()
    address = f"/api/v1/entitlements/{made.scope}"
    told = script.patch(address, {"enabled": True}, headers={"If-Match": script.get(address)["ETag"]})
    assert (told.status_code, told.json()["code"]) == (403, "second_person_required")
    for path, form in (
        ("/agents/bot/clients/desk/", {"verb": "enable", **why}),
        ("/people/bob/enable/", why),
        (
            f"/systems/clock/entitlements/{made.scope}/",
            {
                "name": made.name,
                "sentence": made.sentence,
                "longest": str(int(made.longest.total_seconds())),
                "enabled": "on",
                "version": made.version,
                "tool": list(made.tools.values_list("name", flat=True)),
            },
        ),
    ):
        assert "second_person_required" in visits.text(page.post(path, form)), path
    assert not Entitlement.objects.filter(enabled=True).exists()
    assert not Client.objects.filter(status="active").exists()
