"""What strangers write is inert in everything that leaves: pages as text, tables, JSON, the record's export, logs."""

from __future__ import annotations

import csv
import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
from django.db import transaction

from entitlements import impressions
from entitlements.models import Agent, Person, Tool
from governance import logs, reviews
from governance.console import matrix, middleware
from governance.models import ReviewDecision
from governance.reviews import Answer
from tests.attacks import hostile
from tests.entitlements.api import client as api
from tests.governance.console import addresses, visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> addresses.World:
    return hostile.world()


def _pages(world: addresses.World) -> Iterator[tuple[str, str]]:
    browser = visits.as_(world.company.ana)
    for name, route in addresses.own().items():
        if (name, "GET") in matrix.PAGES and name not in ("review-csv", "review-json"):
            yield name, visits.text(browser.get(world.address(route)))


def test_no_page_holds_a_hidden_character_or_a_tag_that_is_not_ours(world: addresses.World) -> None:
    for name, page in _pages(world):
        assert not impressions.hidden(page), name
        for tag in ("<script>window", "<img src=x", "<svg onload", "</textarea></title>", "$49", "owned\x07"):
            assert tag not in page, (name, tag)


def test_without_the_guard_pages_would_hide_something(world: addresses.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware.NothingHidden, "__call__", lambda self, request: self.get_response(request))

    assert any(impressions.hidden(page) for _, page in _pages(world))


def test_no_cell_of_a_table_is_a_formula(world: addresses.World) -> None:
    ana, sofia, item = world.company.ana, world.company.sofia, world.samples["reviews/item"]
    script = api.proven(ana)
    for rev, begins in enumerate(
        [*hostile.FORMULAS, "=1+1", "+1", "-1", "@x", "\n=1", " =1", "\u200b=1", '"=1'], start=1
    ):
        Agent.objects.update(purpose=begins)
        Person.objects.filter(login="sofia").update(name=begins)
        Tool.objects.filter(name__contains="1").update(name=begins[:60])
        reviews.save_draft(item, Answer("certify", "business_need", begins), by=sofia, rev=rev)  # type: ignore[arg-type]
        with transaction.atomic():
            reviews.submit(world.campaign.pk, by=sofia, via=ReviewDecision.Via.UI)
            for answer in (
                visits.as_(ana).get("/reviews/q4/evidence.csv"),
                script.get("/api/v1/campaigns/q4/evidence.csv"),
            ):
                rows = list(csv.reader(io.StringIO(answer.content.decode())))
                assert "comment" in rows[0]
                assert begins.strip("\t\r\n ")[1:] in "".join(rows[1])
                for cell in (cell for row in rows for cell in row):
                    assert not cell.lstrip(" \u200b").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d")), cell
            transaction.set_rollback(True)


def test_json_holds_every_text_as_it_is_and_under_a_type_that_no_browser_runs(world: addresses.World) -> None:
    ana = api.proven(world.company.ana)
    for path in ("agents/research-bot", "systems/clock", "tools/clock/now", "campaigns/q4/evidence", "audit-events"):
        answer = ana.get(f"/api/v1/{path}")
        assert answer["Content-Type"].partition(";")[0] == "application/json", path
        assert answer["X-Content-Type-Options"] == "nosniff", path
        json.loads(answer.content)
    assert ana.get("/api/v1/agents/research-bot").json()["name"] == hostile.text()


def test_each_line_of_the_records_export_is_one_event(world: addresses.World) -> None:
    exported = b"".join(api.of(world.company.ana).get("/api/v1/audit/export"))
    lines = exported.split(b"\n")
    assert all(json.loads(line) is not None for line in lines if line)
    assert b"\x1b" not in exported


def test_a_line_of_the_log_is_one_line_without_escapes() -> None:
    handler = logging.StreamHandler(said := io.StringIO())
    shown = logging.config.DictConfigurator(logs.dictionary("INFO"))
    handler.setFormatter(shown.configure_formatter(shown.config["formatters"]["json"]))
    logger = logging.getLogger("tests.hostile")
    logger.addHandler(handler)
    try:
        logger.warning("an upstream said %s", hostile.text(2000), extra={"agent": hostile.text() + "\r\n{}"})
    finally:
        logger.removeHandler(handler)
    line = said.getvalue()
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert json.loads(line)["agent"].endswith("{}")
    assert not any(ord(character) < 32 for character in line[:-1])
