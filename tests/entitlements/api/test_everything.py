"""Stopping everything takes the word and a fresh proof, and a second person restores it."""

from __future__ import annotations

import pytest

from audit.actions import Action
from audit.export import timeline
from entitlements.gateway.models import Guardrail
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from tests import make
from tests.entitlements.api import client

REVOCATIONS = "/api/v1/revocations"
RESTORE = f"{REVOCATIONS}/everything/restore"


def stop(key: str) -> dict[str, object]:
    return {"target": {"type": "everything", "id": key}, "reason": "An incident.", "wait": False}


def is_stopped() -> bool:
    return Guardrail.objects.filter(name="everything", on=True).exists()


@pytest.mark.django_db(transaction=True)
def test_a_token_alone_or_another_word_stops_nothing_and_a_second_person_restores_what_a_proven_one_stopped() -> None:
    ana, resa = make.analyst("ana"), make.person(roles=["security"])
    proven = client.proven(ana)

    for key in ("", "anything", "Everything", "everything ", "*"):
        answer = proven.post(REVOCATIONS, stop(key), format="json")
        assert (answer.status_code, answer.json()["code"]) == (400, "everything_not_named"), key
    alone = client.of(ana).post(REVOCATIONS, stop("everything"), format="json")
    assert (alone.status_code, alone.json()["code"]) == (403, "reauthentication_required")
    assert "Mandate-Proof" in alone.json()["detail"]
    nobody = client.of(make.person()).post(REVOCATIONS, stop("anything"), format="json")
    assert (nobody.status_code, nobody.json()["code"]) == (403, "forbidden")
    assert not is_stopped()
    assert not Revocation.objects.exists()
    assert (early := client.proven(resa).post(RESTORE, {"reason": "x"}, format="json")).status_code == 409, early

    assert proven.post(REVOCATIONS, stop("everything"), format="json").status_code == 201
    assert is_stopped()

    own = proven.post(RESTORE, {"reason": "It was me."}, format="json")
    assert (own.status_code, own.json()["code"]) == (403, "second_person_required")
    assert (
        client.of(resa).post(RESTORE, {"reason": "Over."}, format="json").json()["code"] == "reauthentication_required"
    )
    assert client.of(make.person()).post(RESTORE, {"reason": "Over."}, format="json").json()["code"] == "forbidden"
    assert client.proven(resa).post(RESTORE, {"reason": ""}, format="json").status_code == 400
    assert is_stopped()
    restored = client.proven(resa).post(RESTORE, {"reason": "Over."}, format="json")
    assert (restored.status_code, restored.json()["stopped"]) == (200, False)
    started = timeline.about("guardrail:everything").filter(action=Action.KILL_SWITCH_RELEASED)
    assert [(event.actor, event.reason) for event in started] == [(str(resa.principal), "Over.")]


def test_no_door_can_stop_everything_under_another_name() -> None:
    with pytest.raises(revocation.EverythingNotNamed):
        revocation.Target("everything", "anything")
