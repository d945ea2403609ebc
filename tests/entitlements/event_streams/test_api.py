"""Receivers, streams and polls over REST: who may, what is shown once, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from audit.models import Event
from entitlements.event_streams import access_tokens, errors, poll_settings, profile, streams
from entitlements.event_streams.models import EventReceiver, EventStream, SignalPoll, StreamEvent
from entitlements.people.models import Role
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db
RECEIVERS, STREAMS, POLLS = "/api/v1/event-receivers", "/api/v1/event-streams", "/api/v1/signal-polls"
WHY = {"reason": "It is over."}
GIVEN = {"name": "partner", "audience": "https://partner.example", "push_host": "Push.Partner.example"}


def register(**more: Any) -> Any:  # noqa: ANN401 - JSON
    ada = make.person(roles=[Role.ADMIN])
    return client.proven(ada).post(RECEIVERS, {**GIVEN, "reason": "They want to know.", **more}, format="json")


def test_an_admin_registers_a_receiver_with_a_fresh_proof_and_sees_its_secret_once() -> None:
    ada, given = make.person(roles=[Role.ADMIN]), {**GIVEN, "reason": "They want to know."}
    assert client.of(ada).post(RECEIVERS, given, format="json").status_code == 403
    assert client.proven(make.analyst()).post(RECEIVERS, given, format="json").status_code == 403
    made = register()
    assert (made.status_code, made.json()["push_host"]) == (201, "push.partner.example")
    key, secret = made.json()["id"], made.json()["secret"]
    assert client.of(make.analyst()).get(f"{RECEIVERS}/{key}").json()["secret"] is None
    assert secret not in str(list(Event.objects.values_list("body", flat=True)))
    assert secret not in str(EventReceiver.objects.values().get())
    assert access_tokens.issue(key, secret, "").scope == "ssf.manage ssf.read"
    assert register().json()["code"] == "event_receiver_taken"
    for host in ("https://x.example", "x.example/path", "user@x.example", "-x", "x.example:0"):
        assert register(name="other", push_host=host).json()["code"] == "event_receiver_bad_host", host
    assert client.of(make.person()).get(RECEIVERS).status_code == 403


def test_a_stream_is_paused_deleted_and_ended_with_its_receiver() -> None:
    receiver = EventReceiver.objects.get(pk=register().json()["id"])
    terms = streams.Terms("push", "https://push.partner.example:443/in", "Bearer open-sesame", profile.SUPPORTED)
    rows = [streams.create(receiver, terms) for _ in range(streams.MOST)]
    with pytest.raises(errors.TooManyStreams):
        streams.create(receiver, terms)
    resa, rita, where = make.security(), make.person(roles=[Role.RESPONDER]), f"{STREAMS}/{rows[0].pk}"
    streams.queue(rows[0], profile.SESSION_REVOKED, {})
    shown = client.of(rita).get(where).json()
    assert (shown["waiting"], shown["status"], shown["events_delivered"]) == (1, "enabled", [*profile.SUPPORTED])
    assert "open-sesame" not in str(shown) + str(list(Event.objects.values_list("body", flat=True)))
    paused = {"status": "paused", **WHY}
    assert client.of(resa).post(f"{where}/status", paused, format="json").status_code == 403
    assert client.proven(rita).post(f"{where}/status", paused, format="json").status_code == 403
    assert client.proven(resa).post(f"{where}/status", paused, format="json").json()["status"] == "paused"
    again = client.proven(resa).post(f"{where}/status", paused, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "event_stream_unchanged")
    assert client.of(rita).post(f"{where}/delete", WHY, format="json").status_code == 204
    assert not StreamEvent.objects.exists()
    assert client.of(rita).get(where).status_code == 404
    end = f"{RECEIVERS}/{receiver.pk}/end"
    assert client.of(rita).post(end, WHY, format="json").json()["end_reason"] == WHY["reason"]
    assert not EventStream.objects.exists()
    assert client.of(rita).post(end, WHY, format="json").json()["code"] == "event_receiver_ended"


def test_only_a_stream_of_an_issuer_that_two_people_trust_is_polled_and_its_secret_is_forgotten() -> None:
    issuer = TrustedIssuer.objects.create(issuer="https://s.example", purpose="signals", jwks={"keys": []})
    given = {"issuer": issuer.issuer, "endpoint_url": "https://s.example/poll", "secret": "a-long-token", **WHY}
    ada = client.proven(make.person(roles=[Role.ADMIN]))

    def ask(**more: Any) -> Any:  # noqa: ANN401 - JSON
        return ada.post(POLLS, {**given, **more}, format="json")

    assert ask().json()["code"] == "signal_poll_issuer_unknown"
    TrustedIssuer.objects.update(sends_signals=True)
    for url in (
        "http://s.example/poll",
        "https://127.0.0.1/poll",
        "https://169.254.169.254/",
        "https://u:p@s.example/",
    ):
        assert ask(endpoint_url=url).json()["code"] == "forbidden_address", url
    assert ask(token_url="http://10.0.0.1/token", client_id="c").json()["code"] == "forbidden_address"
    for wrong in (
        {"secret": "short"},
        {"secret": "two words here"},
        {"token_url": "https://s.example/t"},
        {"scope": "x"},
    ):
        assert ask(**wrong).json()["code"] == "signal_poll_bad_secret", wrong
    made = ask()
    assert (made.status_code, "a-long-token" in made.content.decode()) == (201, False)
    assert ask().json()["code"] == "signal_poll_set_already"
    key = made.json()["id"]
    rita = client.of(make.person(roles=[Role.RESPONDER]))
    assert rita.get(f"{POLLS}/{key}").json()["issuer"] == issuer.issuer
    assert rita.post(f"{POLLS}/{key}/end", WHY, format="json").status_code == 200
    assert SignalPoll.objects.get().sealed_secret is None
    assert rita.post(f"{POLLS}/{key}/end", WHY, format="json").json()["code"] == "signal_poll_ended"
    assert poll_settings.reseal(10) == 0
