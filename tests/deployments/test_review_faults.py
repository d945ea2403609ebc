"""A review whose worker is killed, and whose beat beats twice: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.actions import Action
from audit.export import timeline
from governance import tasks
from governance.reviews.campaigns import close
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack import seal
from governance.reviews.pack.models import EvidencePack, EvidenceSealing
from governance.reviews.pack_check import verify
from governance.reviews.population.models import PopulationRow
from governance.reviews.remediation import remediation
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from governance.reviews.suggestions.models import Suggestion
from tests import databases, make, waits
from tests.audit.make import Archive
from tests.deployments.test_queue_faults import WORKER, process, queue, waits_for
from tests.governance.reviews import worlds

__all__ = ["queue"]
pytestmark = pytest.mark.django_db(transaction=True)


def killed_while_it_waits_for(table: str, begin: Callable[[], object]) -> None:
    """Let a worker come to this table, and kill it there."""
    with psycopg.connect(databases.addresses().owner) as owner, process(*WORKER) as worker:
        owner.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        begin()
        waits.until(lambda: waits_for(owner, table))
        worker.kill()
        worker.wait()


def test_a_pack_survives_its_worker_while_it_is_sealed(
    queue: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, _ = worlds.found()
    campaign = worlds.campaign(company)
    item = ReviewItem.objects.get()
    (removal,) = worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)]).removals
    remediation.verify(removal)
    with monkeypatch.context() as later:
        worlds.let_it_be_final(later)
        close.close(campaign.pk, by=company.ana, reason="The quarter is over.")
        close.finish_closing(campaign.pk)
    Archive(tmp_path, Ed25519PrivateKey.generate()).seal()
    seal.seal(campaign.pk, by=company.ana, statement=worlds.SIGNED)

    killed_while_it_waits_for("governance_reviewdecision", lambda: tasks.seal_evidence.delay(str(campaign.pk)))
    run = EvidenceSealing.objects.get()
    assert (run.written > 0, run.step, EvidencePack.objects.count()) == (True, "tables", 0)
    queue.flushdb()  # its message is lost as well
    with process(*WORKER):
        for _ in range(2):
            tasks.resume_sealing.delay()
        waits.until(lambda: EvidenceSealing.objects.get().step == "done")

    archive = b"".join(EvidencePack.objects.get().archive())
    with zipfile.ZipFile(io.BytesIO(archive)) as pack:
        assert list(verify.faults(pack)) == []
    told = [event.action for event in timeline.of("campaign", "q4")]
    assert told.count(Action.EVIDENCE_SEALED) == 1


def test_a_review_survives_its_worker_while_it_is_staged_and_while_it_is_carried_out(queue: redis.Redis) -> None:
    company, _ = worlds.found()
    for number in range(3):
        make.grant(make.agent(f"helper-{number}", sponsor=company.sofia), worlds.low(company))
    campaign = worlds.campaign(company, start=False)
    launch.stage(campaign.pk, by=company.ana)

    killed_while_it_waits_for("governance_suggestion", lambda: tasks.stage_campaign.delay(str(campaign.pk)))
    campaign.refresh_from_db()
    assert campaign.state == "staging"
    queue.flushdb()  # its message is lost as well
    with process(*WORKER):
        for _ in range(2):
            tasks.resume_staging.delay()
        waits.until(lambda: type(campaign).objects.get(pk=campaign.pk).state == "staged")
        for held in (ReviewItem, PopulationRow, Suggestion, Assignment):
            assert held.objects.count() == 4, held

    launch.activate(campaign.pk, by=company.ana)
    item = ReviewItem.objects.get(agent=company.bot)
    (removal,) = worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)]).removals
    killed_while_it_waits_for("governance_remediation", tasks.prove_removals.delay)
    queue.flushdb()
    with process(*WORKER):
        for _ in range(2):
            tasks.prove_removals.delay()
        waits.until(lambda: Remediation.objects.get(decision=removal).state == "verified")

    told = [event.action for event in timeline.of("campaign", "q4")]
    for once in (Action.CAMPAIGN_STAGED, Action.REVIEW_DECIDED, Action.REMEDIATION_VERIFIED):
        assert told.count(once) == 1, once
