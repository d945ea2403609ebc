"""A log that holds NUL from before it was kept out: everything that reads the log goes on, and the rows are named."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import log, redaction
from audit.actions import Action
from audit.models import Event
from entitlements.people.models import Role
from governance.operations import invariants, metrics
from governance.reviews.usage.models import UsageDay
from tests import make
from tests.attacks import survey
from tests.audit.make import ANA, Archive
from tests.governance.console import addresses

NOTHING = re.compile(r"(?!)")


def write_as_before(monkeypatch: pytest.MonkeyPatch, tool: str, *links: str) -> Event:
    """Record what an earlier release recorded of a call of a tool with NUL in its name: nothing was replaced."""
    detail = {"tool": tool, "reasons": [tool], "evaluation": tool}
    with monkeypatch.context() as earlier, transaction.atomic():
        earlier.setattr(redaction, "_UNSTORABLE", NOTHING)
        written = [
            log.record(action, by=ANA, about=links, code="unknown_tool", reason=f"No tool {tool}.", detail=detail)
            for action in (Action.CALL_DENIED, Action.CALL_FINISHED, Action.AGENT_SUSPENDED, Action.GRANT_ISSUED)
        ]
    assert r"\u0000" in written[0].body
    return written[0]


@pytest.mark.django_db(transaction=True)
def test_every_page_and_job_reads_a_log_that_was_poisoned_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world, archive = addresses.world(), Archive(tmp_path, Ed25519PrivateKey.generate())
    eve = make.person("eve", roles=Role.values)
    links = [f"grant:{world.grant.pk}", f"system:{world.company.system.slug}", f"agent:{world.company.bot.slug}"]
    write_as_before(monkeypatch, "a\x00b", *links)
    with transaction.atomic():
        about = [f"grant:{world.grant.pk}", "tool:clock/now"]
        log.record(Action.CALL_ALLOWED, by=world.company.bot.principal, about=about, detail={"tool": "now"})
    archive.seal()
    write_as_before(monkeypatch, "c\x00d", *links)  # not sealed yet

    assert survey.failures(world, eve) == []
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
    assert UsageDay.objects.get(tool__name="now").calls == 1, "what stands beside the poisoned row is counted"
    assert metrics._rows(metrics._EVENTS, ["1970-01-01"])
    assert archive.verify()[0] == 0


@pytest.mark.django_db(transaction=True)
def test_the_invariants_name_the_poisoned_rows_and_only_those(monkeypatch: pytest.MonkeyPatch) -> None:
    write_as_before(monkeypatch, r"a backslash \u0000 is none")
    assert named() == ()

    poisoned = write_as_before(monkeypatch, "\\\x00")
    assert any(str(poisoned.uuid) in each for each in named())
    assert len(named()) == 4


def named() -> tuple[str, ...]:
    return next(each.violations for each in invariants.check() if each.invariant.id == "17")
