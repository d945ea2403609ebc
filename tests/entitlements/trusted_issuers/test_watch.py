"""A worker looks at the issuers' keys: what it saw is shown, and an issuer that is away for long is recorded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.conf import settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements import tasks
from entitlements.trusted_issuers import trust, watch
from entitlements.trusted_issuers.models import IssuerKeys, TrustedIssuer
from tests.entitlements.edge import worlds
from tests.entitlements.trusted_issuers import providers
from tests.entitlements.trusted_issuers.providers import Keycloak

pytestmark = [pytest.mark.loopback, pytest.mark.django_db]

KEYS = [{"kid": "first", "alg": "RS256"}]


@pytest.fixture(scope="module")
def realm() -> Iterator[Keycloak]:
    with providers.running(Keycloak()) as found:
        yield found


@pytest.fixture
def issuer(realm: Keycloak, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrustedIssuer]:
    monkeypatch.setattr(settings, "DEMO", True)  # loopback counts as an address only there
    signs = {"jwks_uri": realm.jwks_uri, "algorithms": ["RS256"]}
    yield trust.begin(realm.issuer, purpose="identity", **signs, by=SYSTEM)  # type: ignore[arg-type]
    realm.status = 200


def recorded() -> list[str]:
    return list(Event.objects.filter(action__startswith="issuer.keys").order_by("at").values_list("action", flat=True))


def test_what_a_worker_saw_is_kept(issuer: TrustedIssuer, realm: Keycloak) -> None:
    trust.begin("https://pinned.example", purpose="id_jag", jwks=worlds.key_set(worlds.new_key()), by=SYSTEM)
    tasks.look_at_issuer_keys()
    seen = IssuerKeys.objects.get()
    assert (seen.issuer, seen.keys, seen.problem, seen.failing_since) == (issuer, KEYS, "", None)
    realm.status = 503
    tasks.look_at_issuer_keys()
    seen.refresh_from_db()
    assert (seen.keys, bool(seen.problem), seen.failing_since is not None) == (KEYS, True, True)
    assert recorded() == []
    trust.end(issuer, by=SYSTEM, reason="over")
    asked = len(realm.asked)
    tasks.look_at_issuer_keys()
    assert len(realm.asked) == asked, "an issuer that is trusted no longer is left alone"


def test_an_issuer_that_is_away_for_long_is_recorded_once_and_its_return_too(
    issuer: TrustedIssuer, at: Callable[[datetime | timedelta], datetime]
) -> None:
    def look(later: timedelta, problem: str) -> None:
        at(later)
        watch.keep(issuer, [] if problem else KEYS, problem)

    look(timedelta(0), "It did not answer.")
    look(watch.REPORTED_AFTER - timedelta(seconds=1), "It did not answer.")
    assert recorded() == []
    look(timedelta(seconds=1), "It did not answer.")
    look(watch.REPORTED_AFTER, "It did not answer.")
    assert recorded() == ["issuer.keys_unreachable"]
    look(watch.REPORTED_AFTER, "")
    look(watch.REPORTED_AFTER, "")
    assert recorded() == ["issuer.keys_unreachable", "issuer.keys_reachable"]


def test_a_set_without_a_key_that_was_agreed_on_is_a_problem(issuer: TrustedIssuer) -> None:
    TrustedIssuer.objects.filter(pk=issuer.pk).update(algorithms=["ES256"])
    tasks.look_at_issuer_keys()
    assert "ES256" in IssuerKeys.objects.get().problem
