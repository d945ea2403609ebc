from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.grants.models import Grant
from entitlements.idempotency.models import IdempotentAnswer
from tests import make, waits
from tests.entitlements.api import client


def _body(slug: str = "bot") -> dict[str, str]:
    return {"slug": slug, "name": "Bot", "kind": "shared", "sponsor": "sofia", "purpose": "Books travel."}


@pytest.mark.django_db
def test_the_same_request_again_gets_the_same_answer_and_nothing_happens_twice() -> None:
    make.person("sofia")
    ana = client.of(make.analyst())

    first = ana.post("/api/v1/agents", _body(), headers={"Idempotency-Key": "k1"})
    again = ana.post("/api/v1/agents", _body(), headers={"Idempotency-Key": "k1"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first["ETag"] == again["ETag"]
    assert again["Idempotent-Replayed"] == "true"
    assert Agent.objects.count() == 1


@pytest.mark.django_db
def test_another_request_under_the_same_key_is_refused() -> None:
    make.person("sofia")
    ana = client.of(make.analyst())
    ana.post("/api/v1/agents", _body(), headers={"Idempotency-Key": "k1"})

    answer = ana.post("/api/v1/agents", _body("other"), headers={"Idempotency-Key": "k1"})

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert not Agent.objects.filter(slug="other").exists()


@pytest.mark.django_db
def test_keys_of_two_people_do_not_meet() -> None:
    make.person("sofia")
    client.of(make.analyst()).post("/api/v1/agents", _body("one"), headers={"Idempotency-Key": "k1"})

    answer = client.of(make.analyst()).post("/api/v1/agents", _body("two"), headers={"Idempotency-Key": "k1"})

    assert answer.status_code == 201


@pytest.mark.django_db
def test_a_refused_request_leaves_the_key_free() -> None:
    ana = client.of(make.analyst())
    assert ana.post("/api/v1/agents", _body(), headers={"Idempotency-Key": "k1"}).status_code == 422

    make.person("sofia")

    assert ana.post("/api/v1/agents", _body(), headers={"Idempotency-Key": "k1"}).status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 256, "ключ"])
def test_a_key_of_another_form_is_refused(key: str) -> None:
    answer = client.of(make.analyst()).post("/api/v1/agents", _body(), HTTP_IDEMPOTENCY_KEY=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_malformed")


@pytest.mark.django_db
def test_a_secret_that_is_shown_once_is_not_kept_for_a_replay() -> None:
    ana = client.proven(make.analyst())
    body = {"client_id": "ci", "auth": "client_secret_basic", "api_scopes": ["mandate:read"]}

    first = ana.post("/api/v1/clients", body, headers={"Idempotency-Key": "k1"}).json()
    again = ana.post("/api/v1/clients", body, headers={"Idempotency-Key": "k1"}).json()

    assert len(first["secret"]) >= 43
    assert again == {**first, "secret": None}
    stored = IdempotentAnswer.objects.get()
    assert first["secret"] not in str(stored.body)
    assert first["secret"] not in str(list(Client.objects.values()))


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_wins_and_the_others_get_its_answer_or_are_told_to_wait() -> None:
    make.person("sofia")
    ana = make.analyst()
    clients = [client.of(ana) for _ in range(8)]
    start = threading.Barrier(len(clients))

    def send(each: object) -> tuple[int, str]:
        start.wait(waits.SECONDS)
        try:
            answer = each.post("/api/v1/agents", _body(), headers={"Idempotency-Key": "k1"})  # type: ignore[attr-defined]
            return answer.status_code, answer.json().get("code", "")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(send, clients))

    assert set(answers) <= {(201, ""), (409, "idempotency_in_flight")}
    assert (201, "") in answers
    assert Agent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_revocation_sent_again_is_answered_with_the_same_receipt() -> None:
    grant, ana = make.grant(), client.of(make.analyst())
    body = {"target": {"type": "grant", "id": str(grant.pk)}, "reason": "leak", "wait": True}

    first = ana.post("/api/v1/revocations", body, headers={"Idempotency-Key": "k1"})
    again = ana.post("/api/v1/revocations", body, headers={"Idempotency-Key": "k1"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert Grant.objects.get(pk=grant.pk).state == "revoked"
