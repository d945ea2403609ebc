"""The pages of event streams: a receiver's secret is shown once, a stream with what waits, and what is polled."""

from __future__ import annotations

import pytest

from entitlements.event_streams import profile, streams
from entitlements.event_streams.models import EventReceiver, EventStream, SignalPoll
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PAGE = "/settings/event-streams/"


def test_a_receiver_is_registered_its_stream_is_paused_and_it_is_ended() -> None:
    ada, resa = make.person("ada", roles=["admin"]), make.security("resa")
    form = {
        "name": "partner",
        "audience": "https://partner.example",
        "push_host": "",
        "subject_format": "email",
        "reason": "They want to know.",
    }
    answer = visits.as_(ada).post(f"{PAGE}receivers/add/", form)
    assert ("mdr_" in visits.text(answer), answer["Cache-Control"]) == (True, "no-store")
    assert visits.as_(ada).post(f"{PAGE}receivers/add/", form).status_code == 409
    receiver = EventReceiver.objects.get()
    stream = streams.create(receiver, streams.Terms(events=profile.SUPPORTED[:1]))
    streams.queue(stream, profile.SESSION_REVOKED, {})
    page = visits.text(visits.as_(resa).get(PAGE))
    assert ("partner" in page, "mdr_" in page, "Session revoked" in page) == (True, False, True)
    where = f"{PAGE}{stream.pk}/"
    assert "Set the status" in visits.text(visits.as_(resa).get(where))
    given = {"verb": "set", "status": "paused", "reason": "An attack."}
    assert visits.as_(resa).post(where, given).status_code == 302
    assert EventStream.objects.get().status == "paused"
    page = visits.text(visits.as_(make.person(roles=["auditor"])).get(where))
    assert ("Paused" in page, "Set the status" in page) == (True, False)
    assert visits.as_(resa).post(where, {"verb": "delete", "reason": "Over."}).status_code == 302
    visits.as_(ada).post(f"{PAGE}receivers/{receiver.pk}/", {"verb": "end", "reason": "Over."})
    assert "None. No events leave." in visits.text(visits.as_(resa).get(PAGE))


def test_a_stream_of_a_trusted_issuer_is_polled_until_it_is_ended() -> None:
    ada = make.person("ada", roles=["admin"])
    TrustedIssuer.objects.create(issuer="https://s.example", purpose="signals", jwks={"keys": []}, sends_signals=True)
    form = {
        "issuer": "https://s.example",
        "endpoint_url": "https://s.example/poll",
        "secret": "a-long-token",
        "reason": "They cannot push.",
    }
    wrong = visits.as_(ada).post(f"{PAGE}polls/add/", {**form, "endpoint_url": "http://10.0.0.1/"})
    assert wrong.status_code == 422
    assert visits.as_(ada).post(f"{PAGE}polls/add/", form).status_code == 302
    row = SignalPoll.objects.get()
    SignalPoll.objects.update(failures=1, problem="The stream answered 503.")
    page = visits.text(visits.as_(ada).get(PAGE))
    assert ("https://s.example/poll" in page, "The stream answered 503." in page, "a-long-token" in page) == (
        True,
        True,
        False,
    )
    assert visits.as_(ada).post(f"{PAGE}polls/{row.pk}/", {"verb": "end", "reason": "Over."}).status_code == 302
    assert "None. Events are taken where they are pushed to us." in visits.text(visits.as_(ada).get(PAGE))
