"""What a picture draws is what its table says and what the database holds; and no picture asks once for each row."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit import clock, log
from audit.actions import Action
from entitlements.access import caller
from entitlements.catalog.models import Tool, ToolVersion
from entitlements.clients.models import Client
from entitlements.tokens.models import IssuedToken
from governance.charts import plots
from governance.charts.plot import Plot
from governance.reviews.deadlines import reminders
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewLine
from governance.reviews.quality import blast_radius
from governance.reviews.reports.queries import trends as trends_queries
from governance.reviews.usage import coverage
from governance.reviews.usage.models import UsageDay
from governance.token_health import token_health
from tests import make
from tests.governance import companies
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


def _columns(plot: Plot, series: int) -> dict[str, int]:
    """Read back what the columns of one series are worth, by the mark below each; those of nothing are not drawn."""
    step = plots.WIDTH / len(plot.marks)
    found = re.findall(rf'<rect class="s-{series}"[^>]* x="([\d.]+)"[^>]* height="([\d.]+)"', plot.svg)
    whole = int(plot.top.removesuffix(" %"))
    return {plot.marks[int(float(x) / step)]: round(float(high) / plots.HEIGHT * whole) for x, high in found}


def _dots(svg: str, kind: str) -> list[tuple[float, float, int]]:
    found = re.findall(rf'<path class="{kind}"[^>]* stroke-width="(\d+)" d="M([\d.]+) ([\d.]+)h0"', svg)
    return [(float(x), float(y), int(across)) for across, x, y in found]


def _token(client: Client, lives: timedelta, issued: datetime, kind: str = "access_token") -> None:
    system = make.system()
    IssuedToken.objects.create(
        kind=kind, system=system, client=client, agent=client.agent, issued_at=issued, expires_at=issued + lives
    )


def test_the_lives_of_tokens_and_the_ages_of_credentials_are_drawn_as_they_are() -> None:
    company, now = companies.found(), clock.now()
    client, _secret = make.client(company.bot, "reader", auth=Client.Auth.CLIENT_SECRET_BASIC)
    make.client(company.bot, "signer")
    ana = caller.of(company.ana)
    assert token_health.lifetimes(ana) is None
    for seconds in (60, 61, 300, 300):
        _token(client, timedelta(seconds=seconds), now)
    _token(client, timedelta(seconds=300), now, kind="id_jag")
    _token(client, timedelta(seconds=300), now - timedelta(days=8))

    lives = token_health.lifetimes(ana)

    assert lives is not None
    assert _columns(lives, 0) == {"1 min": 1, "2 min": 1, "5 min": 2}
    assert _columns(lives, 1) == {"5 min": 1}
    assert [row for row in lives.rows if row[1:] != ("0", "0")] == [
        ("1 min", "1", "0"),
        ("2 min", "1", "0"),
        ("5 min", "2", "1"),
    ]
    assert (
        f'class="due" {plots._INK["due"]} vector-effect="non-scaling-stroke" d="M{4 * 600 / 7:.1f} 0V160"' in lives.svg
    )

    Client.objects.filter(pk=client.pk).update(credential_made_at=now - timedelta(days=400))
    ages = token_health.ages(ana)
    assert ages is not None
    assert (_columns(ages, 0), _columns(ages, 1)) == ({"more": 1}, {"1 d": 1})
    assert ages.rows[-1] == ("more", "1", "0", "0")
    page = visits.text(visits.as_(company.ana).get("/token-health/", secure=True))
    assert page.index("Its shared secret is older than a year.") < page.index("Token lifetime")
    assert 'href="/agents/research-bot/clients/reader/"' in page
    stranger = visits.text(visits.as_(company.alice).get("/token-health/", secure=True))
    assert ("No tokens yet." in stranger, "reader" in stranger) == (True, False)


def test_what_past_the_gateway_nobody_knows_is_a_finding_that_leads_where_it_is_said() -> None:
    company = companies.found()
    vendor = make.system("vendor", owner=company.sam, kind="mcp")
    make.grant(company.bot, make.entitlement(vendor, make.tool(vendor)), people=[company.alice])
    found = token_health.findings(caller.of(company.ana))
    assert [each.about for each in found] == ["vendor: native token"]
    page = visits.as_(company.ana).get(found[0].address, secure=True)
    assert (page.status_code, "vendor" in visits.text(page)) == (200, True)


def test_coverage_is_drawn_by_risk_as_it_is_counted() -> None:
    company, grant = worlds.found()
    type(grant).objects.filter(pk=grant.pk).update(starts_at=clock.now() - timedelta(days=70))
    other = make.agent("other-bot", sponsor=company.sofia, owner=company.otto)
    make.grant(other, worlds.low(company), people=[company.alice])
    campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, other), worlds.KEEP)])

    access = coverage.access()
    assert access is not None
    plot = trends_queries.coverage(access)

    assert plot is not None
    assert plot.heads[1:] == ("All, weighted by risk", "Critical risk", "Low risk")
    assert plot.rows[-1][1:] == ("11 %", "0 %", "100 %")  # 1 of 1 of weight 1, 0 of 1 of weight 8
    assert re.findall(r'class="l-(\d)"[^>]*points="[^"]*?600.0,([\d.]+)"', plot.svg)[:3] == [
        ("2", "0.0"),
        ("1", "160.0"),
        ("0", "142.4"),
    ]


def test_what_reviews_took_away_is_drawn_as_it_was_answered() -> None:
    company = companies.found()
    bots = [make.agent(f"bot-{n}", sponsor=company.sofia, owner=company.otto) for n in range(4)]
    offer = worlds.low(company)
    for bot in bots:
        make.grant(bot, offer, people=[company.alice])
    first = worlds.campaign(company, slug="q3")
    worlds.answer(first, company.sofia, [(worlds.item(first, bot), worlds.KEEP) for bot in bots])
    assert trends_queries.cut_rates() is None
    second = worlds.campaign(company)
    answers = [worlds.REMOVE, worlds.KEEP, worlds.KEEP, worlds.KEEP]
    said = [(worlds.item(second, bot), answer) for bot, answer in zip(bots, answers, strict=True)]
    worlds.answer(second, company.sofia, said)

    plot = trends_queries.cut_rates()

    assert plot is not None
    assert plot.rows == (("Fourth quarter", "4", "0 %", "0 %"), ("Fourth quarter", "4", "25 %", "0 %"))
    assert re.findall(r'<rect class="s-0"[^>]* x="([\d.]+)"[^>]* height="([\d.]+)"', plot.svg) == [("337.50", "40.00")]
    assert "What reviews revoked" in visits.text(visits.as_(company.ana).get("/reviews/", secure=True))
    assert "What reviews revoked" not in visits.text(visits.as_(company.sofia).get("/reviews/", secure=True))


def test_the_days_on_which_tools_changed_are_drawn_and_first_sights_are_not() -> None:
    company, now = companies.found(), clock.now()
    ana = caller.of(company.ana)
    tools = [make.tool(company.system, name) for name in ("one", "two")]
    ToolVersion.objects.update(seen_at=now - timedelta(days=40))
    assert trends_queries.changes(ana) is None
    with CaptureQueriesContext(connection) as before:
        trends_queries.changes(ana)
    for number, tool in enumerate([tools[0], tools[1], tools[0]]):
        ToolVersion.objects.create(
            tool=tool,
            definition={"n": number},
            sha256=f"{number:064}",
            seen_at=now - timedelta(days=10 if number < 2 else 3),
        )

    with CaptureQueriesContext(connection) as after:
        plot = trends_queries.changes(ana)

    assert plot is not None
    assert plot.rows == tuple(
        ((now - timedelta(days=days)).date().isoformat(), str(n)) for days, n in ((10, 2), (3, 1))
    )
    assert (plot.svg.count('class="dot"'), len(before), len(after)) == (2, 1, 1)
    assert trends_queries.changes(caller.of(company.alice)) is None
    assert plot.rows[0][0] in visits.text(visits.as_(company.ana).get("/tool-changes/", secure=True))


def test_a_cut_is_drawn_as_what_each_agent_could_do_before_and_after() -> None:
    company, _ = worlds.found()
    quiet = make.agent("quiet-bot", sponsor=company.sofia, owner=company.otto)
    make.grant(quiet, worlds.low(company), people=[company.alice])
    campaign = worlds.campaign(company)
    assert blast_radius.changes(campaign) is None
    item = worlds.item(campaign, company.bot)
    kept = item.lines.get(tool__name="now")
    worlds.answer(campaign, company.sofia, [(item, Answer("reduce", "unused", "Only this.", (kept.pk,)))])
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, quiet), worlds.REMOVE)])

    with CaptureQueriesContext(connection) as asked:
        blast = blast_radius.changes(campaign)

    assert blast is not None
    row, removed = blast.rows
    assert (removed.slug, removed.before > removed.after, removed.after) == ("quiet-bot", True, 0)
    assert (row.slug, row.before > row.after > 0, blast.hidden) == ("research-bot", True, 0)
    assert [x / 6 for x, _y, _across in _dots(row.drawing, "square") + _dots(row.drawing, "round")] == [
        row.before,
        row.after,
    ]
    assert len(asked) <= 7
    page = visits.text(visits.as_(company.ana).get("/reviews/q4/", secure=True))
    assert f'data-label="Before">{row.before}</td><td class="number" data-label="After">{row.after}<' in page


def test_the_map_of_an_agents_access_is_drawn_as_it_is_used() -> None:
    company, grant = worlds.found()
    type(grant).objects.filter(pk=grant.pk).update(starts_at=clock.now() - timedelta(days=120))
    Tool.objects.filter(name="wipe").update(action="delete")
    for _ in range(10):
        with transaction.atomic():
            log.record(
                Action.CALL_ALLOWED, by=company.bot.principal, about=[f"grant:{grant.pk}"], detail={"tool": "now"}
            )
    page = visits.as_(company.ana).get("/agents/research-bot/", secure=True)
    drawn = page.context["map"]
    assert (drawn.people, drawn.systems, drawn.tools) == (["Alice"], ["clock"], ["now", "convert", "remove", "wipe"])
    told = {line.tool: (line.use, line.calls, line.is_final) for line in drawn.lines}
    assert told == {
        "now": ("used", 10, False),
        "convert": ("unused", 0, False),
        "remove": ("unused", 0, False),
        "wipe": ("unused", 0, True),
    }
    tools = re.findall(r'stroke-width="([\d.]+)"( stroke-dasharray="4 4")?[^>]* d="M0 ([\d.]+)C', drawn.edges[2])
    assert [(wide, bool(dashed)) for wide, dashed, _y in tools] == [
        ("4", False),  # ten calls
        ("1", True),
        ("1", True),
        ("1.5", True),  # what is final is double
        ("1.5", True),
    ]
    assert 'data-label="Calls">10</td>' in visits.text(page)


def test_what_a_review_draws_of_itself_is_what_it_counted() -> None:
    company = companies.found()
    offer, bots = worlds.low(company), [make.agent(f"bot-{n}", sponsor=company.sofia) for n in range(4)]
    grants = [make.grant(bot, offer, people=[company.alice]) for bot in bots]
    type(grants[0]).objects.update(starts_at=clock.now() - timedelta(days=120))
    for _ in range(3):
        with transaction.atomic():
            detail = {"tool": offer.tools.get().name}
            log.record(Action.CALL_ALLOWED, by=bots[0].principal, about=[f"grant:{grants[0].pk}"], detail=detail)
    campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, bots[1]), worlds.KEEP)])

    page = visits.as_(company.ana).get("/reviews/q4/", secure=True)

    is_open = campaign.items.filter(state="in_review").count()
    burn = page.context["burn"]
    last = float(re.findall(r'class="line"[^>]*points="[^"]*,([\d.]+)"', burn.svg)[0])
    past = [row for row in burn.rows if row[1]]
    assert (round(4 * (1 - last / plots.HEIGHT)), past[-1][1], is_open) == (3, "3", 3)
    assert campaign.snapshot_at is not None
    reminded = [day for day, _left, mark in burn.rows if mark]
    assert reminded == [day.isoformat() for day in reminders.days(campaign.snapshot_at, campaign.due_at)]
    assert len(re.findall('class="tick"', burn.svg)) == len(reminded) > 3
    widths = dict(re.findall(r'class="part-(\w+)" x="[\d.]+" y="0" width="([\d.]+)"', visits.text(page)))
    assert widths == {"certify": "150.00", "in_review": "450.00"}
    cells = {name: cells[0].calls for name, _slug, cells in page.context["heat"].rows}
    assert cells == {"bot-0": 3, "bot-1": 0, "bot-2": 0, "bot-3": 0}
    assert set(cells.values()) == set(ReviewLine.objects.values_list("calls_window", flat=True))
    for days, calls in ((8, 7), (0, 14)):
        at, tool = clock.now() - timedelta(days=days), offer.tools.get()
        seen = {"day": at.date(), "calls": calls, "denied": 0, "last_at": at}
        UsageDay.objects.create(agent=bots[0], grant=grants[0], tool=tool, **seen)
    work = visits.text(visits.as_(company.sofia).get("/reviews/q4/work/", secure=True))
    assert "the oldest first: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 14" in work
    drawn = re.findall(r'class="spark".*?<path d="([^"]*)"', work)
    assert "M66 10h4v10h-4zM72 0h4v20h-4z" in drawn
