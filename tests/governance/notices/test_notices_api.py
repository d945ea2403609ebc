"""The inbox by API is one's own; what was mailed is for administrators."""

from __future__ import annotations

import pytest
from django.db import transaction

from entitlements.people.models import Person, Role
from governance.notices import queue
from governance.notices.models import Delivery, Kind, Notice
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db
CHOSEN = {"time_zone": "Europe/Berlin", "digest_hour": 7, "quiet_from": 22, "quiet_until": 6, "not_mailed": []}


@pytest.fixture
def ana() -> Person:
    person = make.analyst("ana")
    for n in range(3):
        with transaction.atomic():
            queue.queue(
                Kind.AGENT_STOPPED, [person], about="agent:x", sentence=f"No. {n}", url="/agents/x/", dedupe=f"{n}"
            )
    return person


def test_one_reads_ones_own_inbox_and_nobody_elses(ana: Person) -> None:
    api, other = client.of(ana), client.of(make.analyst())
    shown = api.get("/api/v1/notices?limit=2").json()
    assert [len(shown["results"]), shown["results"][0]["url"]] == [2, "/agents/x/"]
    assert other.get("/api/v1/notices").json()["results"] == []
    read = f"/api/v1/notices/{shown['results'][0]['id']}/read"
    assert other.post(read).status_code == 404
    assert api.post(read).json()["read_at"] is not None
    assert len(api.get("/api/v1/notices?unread=true").json()["results"]) == 2
    assert other.post("/api/v1/notices/read").json() == {"read": 0}
    assert api.post("/api/v1/notices/read").json() == {"read": 2}


def test_one_chooses_when_and_of_what_one_is_mailed(ana: Person) -> None:
    api = client.of(ana)
    assert api.get("/api/v1/notice-settings").json()["time_zone"] == "UTC"
    assert api.put("/api/v1/notice-settings", CHOSEN, format="json").json()["quiet_from"] == 22
    wrongs: list[tuple[dict[str, object], str]] = [
        ({"not_mailed": ["agent_stopped"]}, "cannot_be_switched_off"),
        ({"time_zone": "Mars/Base"}, "unknown_time_zone"),
        ({"quiet_until": None}, "bad_hours"),
    ]
    for wrong, code in wrongs:
        answer = api.put("/api/v1/notice-settings", {**CHOSEN, **wrong}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert api.put("/api/v1/notice-settings", {**CHOSEN, "bad_address": ""}, format="json").status_code == 400


def test_only_an_administrator_sees_mails_sends_again_and_says_that_one_came_back(ana: Person) -> None:
    admin = client.of(make.person("ada", roles=[Role.ADMIN]))
    made = Delivery.objects.create(
        channel="urgent", dedupe="x", person=ana, state="dead", next_at=Notice.objects.all()[0].made_at,
        made_at=Notice.objects.all()[0].made_at,
    )  # fmt: skip
    path, why = f"/api/v1/deliveries/{made.pk}/replay", {"reason": "The server is back."}
    for login in (ana, make.person("mallory")):
        assert client.of(login).get("/api/v1/deliveries").status_code == 403
        assert client.of(login).post(path, why, format="json").status_code == 403
        assert client.of(login).post("/api/v1/people/ana/bounced", why, format="json").status_code == 403
    assert [each["state"] for each in admin.get("/api/v1/deliveries?state=dead").json()["results"]] == ["dead"]
    assert admin.post(path, why, format="json").json()["state"] == "waiting"
    assert admin.post(path, why, format="json").json()["code"] == "delivery_not_given_up"
    bounced = admin.post("/api/v1/people/ana/bounced", why, format="json").json()
    assert bounced["bad_address"] == "ana@example.org"
