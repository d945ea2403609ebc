"""Tokens of workloads against the end of their rule or issuer: none is issued once the end has committed."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from audit.context import SYSTEM
from audit.models import Event
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity import workload_rules
from entitlements.workload_identity.models import WorkloadRule
from entitlements.workload_identity.platforms import Platform
from tests import shared, waits
from tests.entitlements.edge import worlds
from tests.entitlements.workload_identity import company, tokens
from tests.entitlements.workload_identity.company import Company

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = shared.race_rounds(30)


def _rounds(here: Company) -> list[WorkloadRule]:
    """Make a rule a round, each of an issuer of its own that signs with the same key."""
    made = []
    for number in range(ROUNDS + 2):
        issuer = f"https://platform-{number}.example"
        jwks = worlds.key_set(here.keys[Platform.JWT])
        trust.begin(issuer, purpose=TrustedIssuer.Purpose.WORKLOAD, jwks=jwks, by=SYSTEM)
        sponsor = here.world.agent.sponsor.principal
        claims = tokens.RULES[Platform.JWT]
        workload_rules.propose(here.client, issuer=issuer, platform=Platform.JWT, claims=claims, by=sponsor)
        made.append(WorkloadRule.objects.select_related("issuer").get(issuer__issuer=issuer))
    return made


def _issued(rule: WorkloadRule) -> int:
    return Event.objects.filter(action="token.issued", links__contains=[f"workload_rule:{rule.pk}"]).count()


@pytest.mark.parametrize("ends", ["rule", "issuer"])
def test_no_token_is_issued_once_its_rule_or_issuer_has_ended(ends: str) -> None:
    here = company.company()
    *rounds, first, second = _rounds(here)
    assert here.redeem(here.token(Platform.JWT, iss=first.issuer.issuer)).status == 200  # what is loaded once is loaded
    began = time.monotonic()
    assert here.redeem(here.token(Platform.JWT, iss=second.issuer.issuer)).status == 200
    usual = time.monotonic() - began
    start = threading.Barrier(2)
    codes: list[str] = []

    def issue() -> None:
        for rule in rounds:
            token = here.token(Platform.JWT, iss=rule.issuer.issuer)
            start.wait()
            codes.append(here.redeem(token).body.get("code", ""))
        connections.close_all()

    def end() -> dict[WorkloadRule, int]:
        found = {}
        for number, rule in enumerate(rounds):
            start.wait()
            time.sleep(usual * (number % 10) / 7)  # from well before the issuer reads to well after, on any machine
            if ends == "rule":
                workload_rules.end(rule.pk, by=SYSTEM, reason="race")
            else:
                trust.end(rule.issuer, by=SYSTEM, reason="race")
            found[rule] = _issued(rule)
        connections.close_all()
        return found

    with ThreadPoolExecutor(2) as lanes:
        issuing, ending = lanes.submit(issue), lanes.submit(end)
        issuing.result()
        when_ended = ending.result()

    assert when_ended == {rule: _issued(rule) for rule in rounds}
    assert set(codes) <= {"", "workload_rule_ended" if ends == "rule" else "issuer_not_trusted"}
    assert 0 < codes.count("") < len(rounds), "one side always won: the rounds prove nothing"
    assert IssuedToken.objects.count() == codes.count("") + len((first, second))


@pytest.mark.parametrize("ends", ["rule", "issuer"])
def test_a_token_waits_for_an_end_that_is_under_way_and_is_then_refused(ends: str) -> None:
    here = company.company()
    assert here.redeem(here.token(Platform.JWT)).status == 200  # what is loaded once is loaded
    answers: list[str] = []

    def issue() -> None:
        answers.append(here.redeem(here.token(Platform.JWT)).body.get("code", ""))
        connections.close_all()

    late = threading.Thread(target=issue)
    with transaction.atomic():
        if ends == "rule":
            workload_rules.end(here.rules[Platform.JWT].pk, by=SYSTEM, reason="race")
        else:
            trust.end(here.issuers[Platform.JWT], by=SYSTEM, reason="race")
        late.start()
        late.join(waits.MOMENT)
        assert late.is_alive(), answers
    late.join()
    assert answers == ["workload_rule_ended" if ends == "rule" else "issuer_not_trusted"]
