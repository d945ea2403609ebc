"""The posture report: each figure is what its list counts, by month, for whoever may see the department."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any
from urllib.parse import quote

import pytest
from django.urls import reverse
from pypdf import PdfReader

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.access import caller as callers
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.people.role_limits import RoleLimit
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance import tasks
from governance.agents import summaries
from governance.charts import figures as kept_figures
from governance.coverage_map import coverage_map
from governance.home_page.queries import overview
from governance.notices import listener
from governance.notices.models import Kind, Notice
from governance.ownership.models import Dormancy
from governance.posture_report import snapshots
from governance.posture_report.models import PostureSnapshot
from governance.posture_report.queries import figures, pdf, reports, words
from governance.posture_report.queries.catalog import COUNTED, FIGURES
from governance.posture_report.queries.reports import Month, Report
from governance.reviews.remediation.models import Remediation
from governance.reviews.usage import coverage
from governance.reviews.usage.models import UsageDay
from governance.sod import exceptions, policies
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.scim.directory import ENTERPRISE, Directory

pytestmark = pytest.mark.django_db

HOSTILE = '<b>"#panic()\u202e & ' + "W" * 180
FINANCE = "Finance & Risk"


@dataclass(frozen=True)
class World:
    """Sofia's agents are of no department, fay's of Finance, and hugo's of one with a hostile name of 200 letters."""

    company: Company
    finance: Person
    hostile: Person
    limited: Person


def of(directory: Directory, person: Person, department: str) -> None:
    """Let a person be of a department."""
    kept = directory.keeps(person)
    kept.said = {**kept.said, ENTERPRISE: {"department": department}}
    kept.save()


def build() -> World:
    """Make a company in which each figure counts something, most of it in Finance."""
    company, _grant = worlds.found()
    directory = Directory("hr")
    fay, hugo, gone = make.person("fay"), make.person("hugo"), make.person("gone")
    of(directory, fay, FINANCE)
    of(directory, hugo, HOSTILE)
    now = clock.now()
    bots = {name: make.agent(f"fin-{name}", sponsor=fay, owner=company.otto) for name in ("a", "b", "dormant")}
    lost = make.agent("fin-lost", sponsor=fay, owner=gone)
    lone = make.agent("fin-lone", sponsor=fay, owner=company.otto)
    Agent.objects.filter(pk=lone.pk).update(owner=None)
    people.disable(gone, by=SYSTEM, reason="Left.")
    hostile = make.agent("hostile-bot", sponsor=hugo, owner=company.otto)
    Agent.objects.filter(pk=hostile.pk).update(name=HOSTILE)
    make.grant(hostile, worlds.low(company), people=[hugo])
    Dormancy.objects.create(agent=bots["dormant"], step=Dormancy.Step.WARNED, since=now)
    remove, low = (company.system.tools.get(name=name) for name in ("remove", "now"))
    both = make.entitlement(company.system, remove, low, scope="clock:both")
    used, _unused = (make.grant(bots[name], both, people=[fay]) for name in ("a", "b"))
    UsageDay.objects.create(agent=bots["a"], grant=used, tool=remove, day=now.date(), calls=3, denied=0, last_at=now)
    client, _ = make.client(bots["a"], auth=Client.Auth.CLIENT_SECRET_BASIC)
    Client.objects.filter(pk=client.pk).update(credential_made_at=now - timedelta(days=400))
    sides = [{"tools": ["now"]}, {"tools": ["remove"]}]
    rule = policies.propose("hands", sentence="Not both.", sides=sides, by=company.resa, reason="Four eyes.")
    policies.KIND.confirm(rule.pk, by=company.rob, reason="Four eyes.")
    ends = now + timedelta(days=30)
    exceptions.give(rule.pk, bots["b"], by=company.resa, reason="A while.", control="Watched.", expires_at=ends)
    past = make.system("elsewhere", kind="mcp")
    make.grant(lost, make.entitlement(past, make.tool(past, "read"), scope="elsewhere:use"), people=[fay])
    seen = {"source": "file", "first_seen_at": now, "last_seen_at": now}
    UnmanagedAgent.objects.create(key="stray", name="Stray", **seen)
    limited = make.person("leah")
    limit = RoleLimit(departments=frozenset({FINANCE}))
    people.assign_role(limited, Role.ANALYST, limit=limit, by=SYSTEM, reason="for Finance")
    campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, company.bot), worlds.REMOVE)])
    Remediation.objects.update(state=Remediation.State.FAILED)
    type(campaign).objects.filter(pk=campaign.pk).update(due_at=clock.now())
    summaries.refresh(list(Agent.objects.values_list("pk", flat=True)))
    return World(company, fay, hugo, limited)


made_world, world = shared.world(build)


def found(person: Person, key: str) -> Report:
    """Return a report as a person reads it."""
    return reports.find(callers.of(person), key)


def test_each_figure_is_what_its_list_counts(world: World) -> None:
    ana = visits.as_(world.company.ana)
    empty = set(COUNTED)
    for department in (None, FINANCE, HOSTILE, ""):
        page = ana.get(reverse("posture-report", args=[reports.key_of(department)]))
        assert page.status_code == 200
        for _label, rows in page.context["groups"]:
            for row, address in rows:
                if row.figure.key in COUNTED:
                    listed = ana.get(address).context["list"]
                    assert f"{listed.counts.total.rows:,}" == row.value, (department, row.figure.key)
                    empty -= {row.figure.key} if row.value != "0" else set()
    assert empty <= {"verified", "radius_high", "radius_medium"}, "nearly every figure counts something here"


def test_a_verified_remediation_and_each_band_of_the_blast_radius_are_counted(world: World) -> None:
    now = clock.now()
    probe = {"holds": True, "calls": [{"denied": True}]}
    Remediation.objects.update(state="verified", verified_at=now, probe=probe)
    bands = {"high": 75, "medium": 74, "low": 49}
    for radius, agent in zip(bands.values(), Agent.objects.filter(sponsor=world.finance)[:3], strict=True):
        agent.summary.blast_radius = radius
        agent.summary.save()
    company = figures.count()["company"]["figures"]
    assert (company["verified"], company["failed"]) == (1, 0)
    assert company["radius_high"] == company["radius_medium"] == 1
    ana = visits.as_(world.company.ana)
    assert ana.get("/posture/review-items/?finding=verified").context["list"].counts.total.rows == 1
    assert ana.get("/agents/?state=active&radius=high").context["list"].counts.total.rows == 1


def test_the_company_is_what_home_and_the_coverage_map_say(world: World) -> None:
    company = figures.count()["company"]["figures"]
    home, access = overview.numbers(), coverage.access()
    assert company["orphaned"] == home["orphaned"]
    assert company["seen"] == coverage_map.headline(callers.of(world.company.ana)).visible
    assert access is not None
    assert company["unreviewed"] == sum(held - kept for _risk, held, kept in access.coverage.risks)


def test_the_median_time_to_revoke_is_that_of_the_revocations_of_the_department(world: World) -> None:
    agents = {"fin-a": 40.0, "fin-b": 60.0, "research-bot": 500.0}
    for slug, ms in agents.items():
        target = revocation.Target("agent", slug)
        made = revocation.revoke(target, by=SYSTEM, reason="a sample", wait=False)
        Revocation.objects.filter(pk=made.pk).update(acknowledged=[{"node": "n", "after_ms": ms}])
    revocation.revoke(revocation.Target("person", "fay"), by=SYSTEM, reason="left", wait=False)
    Revocation.objects.filter(target_id="fay").update(acknowledged=[{"node": "n", "after_ms": 90.0}])
    counted = figures.count()
    assert counted["departments"][FINANCE]["figures"]["revoke_ms"] == 60
    assert counted["departments"][""]["figures"]["revoke_ms"] == 500
    assert counted["company"]["figures"]["revoke_ms"] == overview.numbers()["revoke_ms"] == 75
    assert counted["departments"][HOSTILE]["figures"]["revoke_ms"] is None
    page = visits.text(visits.as_(world.company.ana).get(f"/stop/?department={quote(FINANCE)}"))
    assert page.count("a sample") == 2
    assert "left" in page


def test_a_limited_role_reads_its_departments_alone(world: World) -> None:
    leah = visits.as_(world.limited)
    listing = visits.text(leah.get("/posture/"))
    assert listing.count("/posture/finance") == 1
    assert "Whole company" not in listing
    assert "hostile" not in listing
    page = leah.get(reverse("posture-report", args=[reports.key_of(FINANCE)]))
    for _label, rows in page.context["groups"]:
        for row, address in rows:
            if row.figure.key in COUNTED and address:
                assert f"{leah.get(address).context['list'].counts.total.rows:,}" == row.value, row.figure.key
    for department in (None, HOSTILE, ""):
        for name in ("posture-report", "posture-report-pdf"):
            assert leah.get(reverse(name, args=[reports.key_of(department)])).status_code == 404
        assert api.of(world.limited).get(f"/api/v1/posture-reports/{reports.key_of(department)}").status_code == 404
    assert visits.as_(world.company.sofia).get("/posture/").status_code == 403
    answer = api.of(world.limited).get("/api/v1/posture-reports").json()
    assert [row["department"] for row in answer["results"]] == [FINANCE]


def test_a_month_is_stored_once_when_it_is_over_and_told_to_security_and_admins(
    world: World, at: Callable[[datetime | timedelta], datetime]
) -> None:
    assert snapshots.take_due(figures.count) is None, "nothing was recorded in the month before"
    now = clock.now()
    at((now.replace(day=1) + timedelta(days=40)).replace(day=1, hour=0, minute=5))
    month = now.date().replace(day=1)
    for _time in range(2):
        tasks.take_posture_snapshot()
    rows = {row.department: row for row in PostureSnapshot.objects.all()}
    assert set(rows) == {None, FINANCE, HOSTILE, ""}
    assert {row.month for row in rows.values()} == {month}
    assert rows[FINANCE].figures == figures.count()["departments"][FINANCE]["figures"]
    assert [agent["slug"] for agent in rows[FINANCE].biggest][:2] == ["fin-a", "fin-b"]
    event = Event.objects.get(action="posture_snapshot.taken")
    assert event.detail == {"month": f"{month:%Y-%m}", "departments": 3}
    listener.notify(event)
    notices = Notice.objects.filter(kind=Kind.POSTURE_REPORT)
    assert {notice.person.login for notice in notices} == {"resa", "rob"}
    address = notices[0].url
    assert address == f"/posture/company/?month={month:%Y-%m}"
    page = visits.text(visits.as_(world.company.resa).get(address))
    assert words.month_name(month) in page
    people.disable(world.hostile, by=SYSTEM, reason="Left.")
    Agent.objects.filter(sponsor=world.finance, slug="fin-lone").update(owner=world.company.otto)
    text = visits.text(visits.as_(world.company.ana).get(reverse("posture-report", args=[reports.key_of(FINANCE)])))
    assert f"1 fewer than in {month:%B}" in text
    answer = api.of(world.company.ana).get(f"/api/v1/posture-reports/{reports.key_of(FINANCE)}").json()
    assert [each["month"] for each in answer["months"]] == [f"{month:%Y-%m}"]
    assert answer["months"][0]["figures"] == rows[FINANCE].figures


def test_much_access_is_counted_by_a_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_figures, "MANY", -1)
    ana = visits.as_(world.company.ana)
    assert "The figures are being counted" in visits.text(ana.get("/posture/"))
    assert "The figures are being counted" in visits.text(ana.get("/posture/company/"))
    tasks.count_figures()
    assert found(world.company.ana, "company").now == found(world.company.ana, "company").now
    assert "Whole company" in visits.text(ana.get("/posture/"))


def test_the_table_is_sorted_by_what_the_address_says(world: World) -> None:
    ana = visits.as_(world.company.ana)
    shown = [row[0].department for row in ana.get("/posture/?sort=-active").context["rows"]]
    assert shown[:2] == [None, FINANCE]
    names = [row[0].department for row in ana.get("/posture/?sort=-department").context["rows"]]
    assert names == [None, "", *sorted([FINANCE, HOSTILE], key=str.casefold, reverse=True)]
    assert ana.get("/posture/?sort=nothing").status_code == 400


@pytest.mark.parametrize("month", ["2026-13", "yesterday", "2026-01-01"])
def test_a_month_that_is_none_is_refused(world: World, month: str) -> None:
    assert visits.as_(world.company.ana).get(f"/posture/company/?month={month}").status_code == 400


def test_a_month_that_was_not_stored_is_not_found(world: World) -> None:
    assert visits.as_(world.company.ana).get("/posture/company/?month=2020-01").status_code == 404


def test_the_pdf_is_one_page_whatever_it_is_called(world: World) -> None:
    months = [
        Month(date(2026, n, 1), datetime(2026, n, 28, tzinfo=UTC), dict.fromkeys(COUNTED, n), []) for n in range(1, 13)
    ]
    now = found(world.company.ana, reports.key_of(HOSTILE)).now
    assert now is not None
    for listed in ([], months[:2], months):
        report = Report(HOSTILE, now, listed[::-1])
        written = pdf.write(report, now)
        assert written == pdf.write(report, now), "the same figures give the same bytes"
        read = PdfReader(BytesIO(written))
        assert len(read.pages) == 1
        text = re.sub(r"\s", "", read.pages[0].extract_text())
        assert '<b>"#panic()\\u{202e}&WWW' in text
        assert "Verifiedremediations" in text
    ana = visits.as_(world.company.ana)
    answer = ana.get(reverse("posture-report-pdf", args=[reports.key_of(HOSTILE)]))
    assert answer["Content-Type"] == "application/pdf"
    assert re.fullmatch(r'attachment; filename="posture-[a-z0-9-]+\.pdf"', answer["Content-Disposition"])


def _month(number: int, **numbers: int | None) -> Month:
    day = date(2026, number, 1)
    return Month(day, datetime(2026, number, 28, tzinfo=UTC), numbers, [])


def test_a_change_is_said_in_words_and_tone() -> None:
    then, now = (
        _month(10, orphaned=5, seen=1, revoke_ms=30, overdue=2),
        _month(11, orphaned=2, seen=4, revoke_ms=40, overdue=2),
    )
    report = Report(None, None, [now, then])
    said = {row.figure.key: (row.change, row.tone) for _label, rows in words.groups(report, now) for row in rows}
    assert said["orphaned"] == ("3 fewer than in October", "good")
    assert said["seen"] == ("3 more than in October", "good")
    assert said["revoke_ms"] == ("10 ms more than in October", "warn")
    assert said["overdue"] == ("as in October", "")
    assert said["dormant"] == ("", ""), "it was not counted then"
    first = {row.change for _label, rows in words.groups(report, then) for row in rows}
    assert first == {""}, "nothing is before the first month"


def test_a_trend_is_drawn_from_five_months_on() -> None:
    months = [_month(number, orphaned=number) for number in range(12, 0, -1)]
    few = words.trend(Report(None, None, months[-4:]), months[-4])
    assert (few.plots, [name for name, _values in few.rows][-1]) == ((), "April 2026")
    many = words.trend(Report(None, None, months), months[0])
    (figure, plot), *_others = many.plots
    assert (figure.key, plot.points, plot.is_too_small) == ("orphaned", 12, False)
    assert (plot.top, plot.latest) == ("12", "December 2026: 12")


def test_each_department_has_a_name_of_its_own_in_an_address() -> None:
    names: list[Any] = [
        None,
        "",
        "company",
        "Finance",
        "finance",
        "Fin/ance",
        "..",
        "財務",
        HOSTILE,
        "no-department",
        "-",
    ]
    keys = [reports.key_of(name) for name in names]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[\w-]+", key) for key in keys)


def test_each_figure_says_what_it_counts() -> None:
    assert len({figure.key for figure in FIGURES}) == len(FIGURES)
    assert all(str(figure.definition).endswith(".") and figure.page for figure in FIGURES)
