"""What strangers write is inert in everything that leaves: pages as text, tables, JSON, the record's export, logs."""

from __future__ import annotations

import csv
import io
import json
import logging
import logging.config
import re
from typing import Final

import pytest
from django.conf import settings
from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.definitions import impressions
from entitlements.people.models import Person
from entitlements.unmanaged_agents.models import UnmanagedAgent, Workflow
from governance import logs
from governance.cli import output
from governance.cli.exits import Ended, Exit
from governance.console import middleware
from governance.mail import letters, preferences
from governance.notices import queue
from governance.notices.models import Delivery, Kind, Notice
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.evidence import audit, workpapers
from governance.reviews.evidence.models import AuditSample
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewLine
from governance.webhooks import webhooks
from governance.webhooks.models import Webhook, WebhookMessage
from governance.webhooks.trackers import NO_TRACKER, Tracker
from tests import shared
from tests.attacks import hostile
from tests.entitlements.api import client as api
from tests.governance.console import addresses, visits

pytestmark = pytest.mark.django_db
FORMULAS: Final = (*hostile.FORMULAS, "=1+1", "+1", "-1", "@x", "\n=1", " =1", "\u200b=1", '"=1')
PATHS: Final = (
    *("agents/research-bot", "systems/clock", "tools/clock/now", "campaigns/q4/evidence", "audit-events", "people"),
    *(
        "agents",
        "grants",
        "requests",
        "clients",
        "sessions",
        "onboarding-batches",
        "unmanaged-agents",
        "coverage-map",
        "entitlements",
    ),
)


def is_formula(cell: str) -> bool:
    return cell.lstrip(" \u200b").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))


made_world, world = shared.world(hostile.world)


def test_without_the_guard_pages_would_hide_something(world: addresses.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        middleware.VisibleCharactersMiddleware, "__call__", lambda self, request: self.get_response(request)
    )

    assert impressions.hidden(visits.text(visits.as_(world.company.ana).get("/agents/research-bot/")))


def test_no_cell_of_a_table_is_a_formula(world: addresses.World) -> None:
    ana, sofia, item = world.company.ana, world.company.sofia, world.samples["reviews/item"]
    script, tool = api.proven(ana), ReviewLine.objects.order_by("pk")[0].tool_id
    for rev, begins in enumerate(FORMULAS, start=1):
        Agent.objects.update(purpose=begins)
        Person.objects.filter(login="sofia").update(name=begins)
        Tool.objects.filter(pk=tool).update(name=begins[:60].replace("/", ""))
        said = Answer("certify", "business_need", f"{begins} is what it begins with")
        submission.save_draft(item, said, by=sofia, rev=rev)  # type: ignore[arg-type]
        with transaction.atomic():
            submission.submit(world.campaign.pk, by=sofia, via=ReviewDecision.Via.UI)
            for answer in (
                visits.as_(ana).get("/reviews/q4/evidence.csv"),
                script.get("/api/v1/campaigns/q4/evidence.csv"),
            ):
                rows = list(csv.reader(io.StringIO(answer.getvalue().decode())))
                assert "comment" in rows[0]
                assert begins.strip("\t\r\n ")[1:] in "".join(rows[1])
                assert not any(map(is_formula, (cell for row in rows for cell in row)))
            transaction.set_rollback(True)


def test_no_cell_of_the_map_or_of_a_workpaper_is_a_formula(world: addresses.World) -> None:
    sample, now = AuditSample.objects.get(), clock.now()
    for number, begins in enumerate(FORMULAS):
        seen = UnmanagedAgent.objects.create(
            key=f"seen {number}", name=begins, source="csv", first_seen_at=now, last_seen_at=now
        )
        Workflow.objects.create(seen=seen, system=world.company.system, origin="seen", state="known", changed_at=now)
        marked = audit.sampled(sample).get()
        audit.mark(marked.pk, by=sample.drawn_by, finding="exception", note=begins)
        (row,) = csv.DictReader(io.StringIO(workpapers.as_csv(sample)))
        assert begins.strip("\t\r\n ")[1:] in row["note"]
        assert not any(map(is_formula, row.values()))
    table = visits.as_(world.company.ana).get("/coverage/map.csv")
    rows = list(csv.reader(io.StringIO(table.content.decode())))
    assert len(rows) > len(FORMULAS)
    assert [cell for row in rows for cell in row if is_formula(cell)] == []


def test_json_holds_every_text_as_it_is_and_under_a_type_that_no_browser_runs(world: addresses.World) -> None:
    ana = api.proven(world.company.ana)
    for path in PATHS:
        answer = ana.get(f"/api/v1/{path}")
        assert answer["Content-Type"].partition(";")[0] == "application/json", path
        assert answer["X-Content-Type-Options"] == "nosniff", path
        json.loads(answer.getvalue())
    assert ana.get("/api/v1/agents/research-bot").json()["name"] == hostile.text()


def test_each_line_of_the_records_export_is_one_event(world: addresses.World) -> None:
    exported = b"".join(api.of(world.company.ana).get("/api/v1/audit/export"))
    lines = exported.split(b"\n")
    assert all(json.loads(line) is not None for line in lines if line)
    assert b"\x1b" not in exported


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("channel", ["urgent", "digest"])
def test_a_mail_is_text_that_leads_to_us_alone(channel: str) -> None:
    bob = Person.objects.get(login="bob")
    with transaction.atomic():
        for number, said in enumerate([hostile.text(), hostile.long(), "a www.evil.example", "b evil.example/x"]):
            key = f"mail {number}"
            queue.queue(Kind.AGENT_STOPPED, [bob], sentence=said, about="agent:x", url="/agents/x/", dedupe=key)
    now, mine = clock.now(), list(Notice.objects.filter(dedupe__startswith="mail").order_by("dedupe"))
    sent = Delivery(channel=channel, dedupe="y", person=bob, next_at=now, made_at=now)
    mail = letters.write(sent, mine, preferences.for_person(bob)).message()

    assert (mail.get_content_type(), mail["To"], mail["Bcc"]) == ("text/plain", bob.email, None)
    text = f"{mail['Subject']}\n{mail.get_content()}"
    assert not impressions.hidden(text)
    assert len(text) < 5000
    assert set(re.findall(r"\S*://\S*", text)) - {"//"} == {
        f"{settings.CONSOLE_URL}{path}" for path in ("/agents/x/", "/inbox/", "/settings/notices/")
    }
    assert "evil.example" not in text


def test_an_endpoint_and_a_chat_are_told_nothing_that_anybody_wrote(world: addresses.World) -> None:
    for form in Webhook.Form.values:
        tracker = {
            Webhook.Form.SERVICENOW: Tracker("mandate", "secret"),
            Webhook.Form.JIRA: Tracker("mandate", "secret", "SEC", "Task"),
        }.get(Webhook.Form(form), NO_TRACKER)
        webhooks.make(
            f"to-{form}",
            url="https://hooks.example.org/x",
            form=form,
            events=[*webhooks.EVENTS],
            by=SYSTEM,
            tracker=tracker,
        )
    about = [f"agent:{world.company.bot.slug}", f"tool:clock/{hostile.LOOKALIKE}|<!channel>"]
    with transaction.atomic():
        said = {"reason": hostile.text(), "detail": {"name": hostile.text()}}
        log.record(Action.AGENT_SUSPENDED, about=about, by=SYSTEM, **said)  # type: ignore[arg-type]
        webhooks.queue(Event.objects.filter(action=Action.AGENT_SUSPENDED).latest("at"))
    told = {
        each.webhook.form: each.body
        for each in WebhookMessage.objects.select_related("webhook").exclude(event="webhook.test")
    }
    assert set(told) == set(Webhook.Form.values)
    page = f"{settings.CONSOLE_URL}/agents/research-bot/"
    assert told["slack"] == {"text": f"An agent was suspended: <{page}|look at it>"}
    assert told["teams"]["attachments"][0]["content"]["actions"][0]["url"] == page
    assert told["standard"]["data"]["url"] == page
    assert told["standard"]["data"]["about"] == about
    for each in told.values():
        assert not any(said in json.dumps(each, ensure_ascii=False) for said in ("owned", "=1+1", "evil"))


def test_what_the_command_line_prints_is_ascii_a_line_or_does_nothing_to_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {"name": hostile.text(2000), "said": [hostile.text(), {hostile.text(60): "x"}], "long": hostile.long()}
    output.lines([row, row])
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [row, row]
    assert all(line.isascii() and line.isprintable() for line in lines)
    output.table([row], list(row))
    output.card(row)
    output.problem(Ended(Exit.REFUSED, hostile.text(), hostile.text()), as_json=False)
    shown = capsys.readouterr()
    assert all(line.isprintable() for line in [*shown.out.split("\n"), *shown.err.split("\n")])


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
