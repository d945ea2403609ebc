"""The inbox in the console: looking changes nothing, links lead to pages, and what is hostile stays text."""

from __future__ import annotations

import pytest
from django.db import transaction

from audit.models import Event
from entitlements.people.models import Person, Role
from governance.notices import queue
from governance.notices.models import Delivery, Kind, Notice, NoticeSettings
from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
CHOSEN = {"time_zone": "Europe/Berlin", "digest_hour": "7", "quiet_from": "22", "quiet_until": "6"}


@pytest.fixture
def ana() -> Person:
    return make.analyst("ana")


def tell(person: Person, sentence: str) -> Notice:
    with transaction.atomic():
        queue.queue(Kind.AGENT_STOPPED, [person], about="agent:x", sentence=sentence, url="/agents/x/", dedupe=sentence)
    return Notice.objects.get(person=person, dedupe=sentence)


def test_looking_marks_nothing_and_a_button_does(ana: Person) -> None:
    notice = tell(ana, "x was stopped.")
    browser = visits.as_(ana)
    for address in ("/inbox/", "/inbox/?show=unread", f"/inbox/{notice.pk}/read/", "/inbox/read/"):
        browser.get(address)
    said = visits.text(browser.get("/inbox/"))
    assert 'href="/agents/x/"' in said
    assert '<span class="hidden-visually"> unread</span>' in said
    assert Notice.objects.filter(read_at=None).count() == 1

    browser.post(f"/inbox/{notice.pk}/read/")
    assert "No unread notices." in visits.text(browser.get("/inbox/?show=unread"))
    tell(ana, "y was stopped.")
    browser.post("/inbox/read/")
    assert not Notice.objects.filter(read_at=None).exists()


def test_nobody_reads_or_marks_anothers(ana: Person) -> None:
    notice, other = tell(ana, "x was stopped."), visits.as_(make.analyst())
    assert "x was stopped." not in visits.text(other.get("/inbox/"))
    assert other.post(f"/inbox/{notice.pk}/read/").status_code == 404
    other.post("/inbox/read/")
    assert Notice.objects.filter(read_at=None).count() == 1


def test_what_is_hostile_stays_text(ana: Person) -> None:
    tell(ana, '<script>alert(1)</script> "><img src=x onerror=1> was stopped.')
    said = visits.text(visits.as_(ana).get("/inbox/"))
    assert "&lt;script&gt;alert(1)" in said
    assert "<script>alert" not in said
    assert "<img" not in said


def test_one_keeps_when_one_is_mailed_and_is_told_what_cannot_be(ana: Person) -> None:
    browser = visits.as_(ana)
    assert browser.post("/settings/notices/", {**CHOSEN, "not_mailed": ["review_waiting"]}).status_code == 302
    kept = NoticeSettings.objects.get()
    assert (kept.time_zone, kept.digest_hour, kept.quiet_from, kept.not_mailed) == (
        "Europe/Berlin", 7, 22, ["review_waiting"],
    )  # fmt: skip
    for wrong, code in [({"time_zone": "Mars/Base"}, "unknown_time_zone"), ({"quiet_until": ""}, "bad_hours")]:
        answer = browser.post("/settings/notices/", {**CHOSEN, **wrong})
        assert answer.status_code == 422
        assert code in visits.text(answer)
    assert browser.post("/settings/notices/", {**CHOSEN, "not_mailed": ["agent_stopped"]}).status_code == 422


def test_an_administrator_tries_again_what_was_given_up(ana: Person) -> None:
    notice = tell(ana, "x was stopped.")
    made = Delivery.objects.create(
        channel="urgent", dedupe="x", person=ana, state="dead", next_at=notice.made_at, made_at=notice.made_at,
        answer="550 <b>no</b>",
    )  # fmt: skip
    admin = visits.as_(make.person("ada", roles=[Role.ADMIN]))
    said = visits.text(admin.get("/settings/deliveries/?state=dead"))
    assert "550 &lt;b&gt;no" in said
    assert visits.as_(ana).get("/settings/deliveries/").status_code == 403
    assert visits.as_(ana).post(f"/settings/deliveries/{made.pk}/replay/").status_code == 403
    admin.post(f"/settings/deliveries/{made.pk}/replay/")
    made.refresh_from_db()
    assert made.state == "waiting"
    assert Event.objects.get(action="delivery.replayed").actor == "person:ada"
