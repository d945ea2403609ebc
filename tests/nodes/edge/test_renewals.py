"""Many agents renew at once at a running node: each gets its token, or is told when to come back; none gets a 5xx."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from entitlements import ratelimits
from entitlements.keys import signing
from entitlements.tokens.models import IssuedToken
from tests import crowd, databases, make
from tests.benchmarks import renewals
from tests.nodes.gateway import world as gateways

LONGEST_WAIT = ratelimits.WINDOW + ratelimits.SPREAD


@pytest.fixture
def base(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:  # noqa: ARG001
    """Start a node; what is made is committed, since the node is another process."""
    with databases.emptied(django_db_blocker), gateways.gateway("renewals") as node:
        yield node.base


@pytest.mark.parametrize(
    ("agents", "within"), [(200, 0.2), pytest.param(5_000, 5.0, marks=[pytest.mark.soak, pytest.mark.timeout(300)])]
)
def test_each_of_a_crowd_gets_a_token_or_is_told_when_to_come_back(base: str, agents: int, within: float) -> None:
    system = make.system("time")
    signing.ensure("as/time")
    with transaction.atomic():
        made = crowd.gather(make.entitlement(system), agents)
    where = urlsplit(base)
    raw = renewals.requests(base, made)

    found = asyncio.run(renewals.renew(str(where.hostname), where.port or 0, raw, within=within, patience=60.0))

    statuses = Counter(status for each in found for status in each.statuses)
    assert set(statuses) <= {200, 429}, statuses
    assert all(1 <= wait <= LONGEST_WAIT for each in found for wait in each.waits)
    assert [each for each in found if each.token_after is None] == []
    assert IssuedToken.objects.filter(kind="access_token").count() == statuses[200] == agents
