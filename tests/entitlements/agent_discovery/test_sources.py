"""Discovery sources: connected, changed and switched with one event each; their credential goes nowhere else."""

from __future__ import annotations

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agent_discovery import runs, sources
from entitlements.agent_discovery.models import DiscoverySource
from entitlements.errors import DomainError, Malformed
from entitlements.secrets import seal
from entitlements.upstream import egress

from .stand_in import StandIn

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]

CANARY = "00canary-of-the-token"


def okta(there: StandIn, **fields: str) -> DiscoverySource:
    values = {"slug": "okta", "name": "Okta", "address": there.url, "credential": CANARY, **fields}
    return sources.connect_okta(**values, by=SYSTEM)


def test_a_source_is_changed_with_one_event_each_and_the_same_again_with_none(there: StandIn) -> None:
    source = okta(there)
    for _ in range(2):
        sources.change(source, every_hours=6, reads="agents", by=SYSTEM)
        sources.disable(source, by=SYSTEM, reason="x")
    sources.enable(source, by=SYSTEM, reason="x")
    sources.replace_credential(source, credential="another-token", by=SYSTEM)
    source.refresh_from_db()
    assert sources.credential(source) == "another-token"
    actions = Event.objects.filter(action__startswith="discovery_source.").order_by("at", "sequence")
    assert list(actions.values_list("action", flat=True)) == [
        "discovery_source.made",
        "discovery_source.changed",
        "discovery_source.disabled",
        "discovery_source.enabled",
        "discovery_source.credential_replaced",
    ]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"address": "https://10.0.0.1"}, egress.ForbiddenAddress),
        ({"address": "http://example.okta.com"}, egress.ForbiddenAddress),
        ({"address": "https://user:pass@example.okta.com"}, egress.ForbiddenAddress),
        ({"address": "https://example.okta.com/path"}, sources.BadSourceAddress),
        ({"address": "https://example.okta.com?x=1"}, sources.BadSourceAddress),
        ({"credential": "short"}, sources.BadCredential),
        ({"credential": "with a space in it"}, sources.BadCredential),
        ({"credential": "line\nbreak-in-it"}, sources.BadCredential),
        ({"reads": "everything"}, Malformed),
    ],
)
def test_what_cannot_be_a_source_is_refused(fields: dict[str, str], problem: type[DomainError]) -> None:
    values = {"slug": "okta", "name": "Okta", "address": "https://example.okta.com", "credential": CANARY, **fields}
    with pytest.raises(problem):
        sources.connect_okta(**values, by=SYSTEM)
    assert not DiscoverySource.objects.exists()


def test_a_short_name_is_taken_once(there: StandIn) -> None:
    okta(there)
    with pytest.raises(sources.SourceTaken):
        okta(there)


def test_a_credential_copied_to_another_source_does_not_open(there: StandIn) -> None:
    first, second = okta(there), okta(there, slug="other")
    DiscoverySource.objects.filter(pk=second.pk).update(sealed=first.sealed)
    second.refresh_from_db()
    with pytest.raises(seal.SealBroken):
        sources.credential(second)
    failed = runs.ask(second, by=SYSTEM)
    runs.perform(failed.pk)
    failed.refresh_from_db()
    assert failed.state == "failed"
    assert {error["code"] for error in failed.errors} == {"discovery_credential_broken"}
    assert there.asked == []
