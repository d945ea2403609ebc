"""What is revoked while the signer cannot be reached is revoked, and gets its receipt when it can."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from entitlements import tasks
from entitlements.agents.models import Agent
from entitlements.keys import signing
from entitlements.revocation import record_keys, revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.signers import signers
from entitlements.signers.signer import Signer
from tests import make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.loopback]


@pytest.mark.parametrize("signer", ["transit"], indirect=True)
def test_a_revocation_waits_for_no_signer(signer: Signer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signer.is_remote
    agent = make.agent("bot")
    signing.ensure(record_keys.RECEIPTS)
    there, settings.TRANSIT = settings.TRANSIT, None
    signers.named.cache_clear()
    stopped = revocation.revoke(Target("agent", agent.slug), by=SYSTEM, reason="leaked")
    assert stopped.receipt == ""
    assert Agent.objects.get(pk=agent.pk).status != "active"
    settings.TRANSIT = there
    signers.named.cache_clear()
    monkeypatch.setattr(tasks, "UNSETTLED", tasks.UNSETTLED * 0)
    tasks.settle_revocations()
    assert Revocation.objects.get(pk=stopped.pk).receipt
