"""Discovery sources by page and over REST: connected, run, shown with their errors, and never with their credential."""

from __future__ import annotations

from typing import Any

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agent_discovery import problems, runs, sources
from entitlements.agent_discovery.models import DiscoveryRun, DiscoverySource
from entitlements.agent_discovery.pull import Listed, Pull
from entitlements.agent_discovery.shapes import FoundRow
from entitlements.people.models import Person, Role
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PAGE, API = "/settings/discovery/", "/api/v1/discovery-sources"
CANARY = "00canary-of-the-token"
FORM = {"name": "Okta", "slug": "okta", "address": "https://example.okta.com", "credential": CANARY, "reads": "all"}
HOSTILE = "<b>Bot</b> \u202e\u200b"


@pytest.fixture
def ada() -> Person:
    return make.person("ada", roles=[Role.ADMIN])


def connected(**fields: Any) -> DiscoverySource:  # noqa: ANN401 - as the action takes them
    return sources.connect_okta(**{**FORM, **fields}, by=SYSTEM)


def finished(source: DiscoverySource, *read: Listed) -> DiscoveryRun:
    """Finish a run with what was read, as a worker does."""
    begun = runs._begin(runs.ask(source, by=SYSTEM).pk)
    assert begun is not None
    pull = Pull(source.address, lambda _pages, _rows: None)
    pull.pages = len(read)
    pull.rows = sum(len(listed.found) for listed in read)
    runs._finish(begun, pull, list(read))
    return DiscoveryRun.objects.get(pk=begun.pk)


def test_an_administrator_connects_a_source_and_no_page_shows_its_credential(ada: Person) -> None:
    browser = visits.as_(ada)
    page = visits.text(browser.get(PAGE))
    assert "No source is connected." in page
    assert "Connect Microsoft Entra ID" in page
    made = browser.post(f"{PAGE}add/okta/", FORM, follow=True)
    shown = visits.text(made)
    assert "Connected. The first run begins within a minute." in shown
    assert "…oken" in shown
    assert CANARY not in shown
    assert Event.objects.get(action="discovery_source.made").actor == "person:ada"


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("entra", {"tenant": "0" * 32, "app_id": "1" * 32}),
        ("fleet", {"address": "https://fleet.example.com", "report": "31"}),
    ],
)
def test_each_kind_has_its_form(ada: Person, kind: str, form: dict[str, str]) -> None:
    sent = {"name": "X", "slug": kind, "credential": CANARY, "reads": "agents", **form}
    assert visits.as_(ada).post(f"{PAGE}add/{kind}/", sent).status_code == 302
    made = DiscoverySource.objects.get()
    assert [made.kind, made.tenant or made.address] == [
        kind,
        "00000000-0000-0000-0000-000000000000" if kind == "entra" else "https://fleet.example.com",
    ]


def test_what_is_refused_stands_at_its_field(ada: Person) -> None:
    connected()
    answer = visits.as_(ada).post(f"{PAGE}add/okta/", FORM)
    assert answer.status_code == 409
    assert "A discovery source with this short name already exists." in visits.text(answer)
    inside = visits.as_(ada).post(f"{PAGE}add/okta/", {**FORM, "slug": "x", "address": "https://10.0.0.1"})
    assert inside.status_code == 422
    assert visits.as_(ada).get(f"{PAGE}add/ldap/").status_code == 404


def test_the_page_shows_runs_rows_errors_and_hostile_names_as_data(ada: Person) -> None:
    source = connected()
    apps = Listed("applications", problem=problems.RateLimited())
    finished(source, Listed("agents", [FoundRow("wlp1", HOSTILE, "wlp1")]), apps)
    listing = visits.text(visits.as_(ada).get(PAGE))
    assert "Partial" in listing
    assert "discovery_rate_limited" in listing
    page = visits.text(visits.as_(ada).get(f"{PAGE}okta/"))
    assert "applications: The source asked to wait for longer than a run waits." in page
    assert "<b>Bot</b>" not in page
    assert "\u202e" not in page
    assert "Unmanaged" in page
    found = visits.text(visits.as_(make.person("ana", roles=[Role.ANALYST])).get("/onboarding/?state=unmatched"))
    assert "&lt;b&gt;Bot&lt;/b&gt;" in found


def test_run_now_shows_progress_until_it_is_over(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr("entitlements.tasks.discover_agents.delay", sent.append)
    source = connected()
    browser = visits.as_(ada)
    page = browser.post(f"{PAGE}okta/", {"verb": "run"}, follow=True)
    run = source.runs.get()
    assert 'hx-trigger="every 2s"' in visits.text(page)
    assert "Run now" not in visits.text(page)
    again = browser.post(f"{PAGE}okta/", {"verb": "run"})
    assert again.status_code == 409
    assert "discovery_run_open" in visits.text(again)
    runs._end(run, "failed", {}, [])
    assert "every 2s" not in visits.text(browser.get(f"{PAGE}okta/"))


def test_an_administrator_changes_disables_and_enables_it(ada: Person) -> None:
    connected()
    browser = visits.as_(ada)
    for form in (
        {"verb": "change", "every_hours": "6", "reads": "agents"},
        {"verb": "credential", "credential": "another-token"},
        {"verb": "disable", "reason": "Moves."},
    ):
        assert browser.post(f"{PAGE}okta/", form).status_code == 302
    source = DiscoverySource.objects.get()
    assert [source.every_hours, source.reads, source.enabled] == [6, "agents", False]
    assert "Run now" not in visits.text(browser.get(f"{PAGE}okta/"))
    for form in ({"every_hours": "0", "reads": "all"}, {"every_hours": "6", "reads": "x"}, {"every_hours": "x"}):
        assert browser.post(f"{PAGE}okta/", {"verb": "change", **form}).status_code == 400
    assert browser.post(f"{PAGE}okta/", {"verb": "enable", "reason": ""}).status_code == 422
    assert not DiscoverySource.objects.get().enabled


@pytest.mark.parametrize("role", [Role.ANALYST, Role.SECURITY, Role.AUDITOR])
def test_others_read_and_change_nothing(role: Role) -> None:
    connected()
    browser = visits.as_(make.person("rose", roles=[role]))
    page = visits.text(browser.get(f"{PAGE}okta/"))
    assert "New credential" not in page
    assert "Connect a source" not in visits.text(browser.get(PAGE))
    assert browser.post(f"{PAGE}okta/", {"verb": "disable", "reason": "x"}).status_code == 403
    assert browser.post(f"{PAGE}add/okta/", {**FORM, "slug": "x"}).status_code == 403
    assert browser.post(f"{PAGE}okta/", {"verb": "run"}).status_code == (302 if role == Role.ANALYST else 403)
    assert DiscoverySource.objects.get().enabled


def test_an_employee_sees_none_of_it() -> None:
    connected()
    mallory = make.person("mallory")
    assert [visits.as_(mallory).get(address).status_code for address in (PAGE, f"{PAGE}okta/")] == [403, 403]
    assert client.of(mallory).get(f"{API}/okta/entries").status_code == 403


def test_the_api_connects_reads_and_runs_a_source(ada: Person) -> None:
    api = client.proven(ada)
    made = api.post(f"{API}/connect/okta", FORM, format="json")
    assert made.status_code == 201
    assert [made.json()["kind"], made.json()["last_run"]] == ["okta", None]
    source = DiscoverySource.objects.get()
    finished(source, Listed("agents", [FoundRow("wlp1", "Support", "wlp1")]), Listed("applications"))
    shown = api.get(f"{API}/okta").json()
    assert [shown["unmanaged"], shown["last_run"]["state"], shown["last_run"]["counts"]["new"]] == [1, "complete", 1]
    assert [row["state"] for row in api.get(f"{API}/okta/runs").json()["results"]] == ["complete"]
    (entry,) = api.get(f"{API}/okta/entries").json()["results"]
    assert [entry["listing"], entry["external_id"], entry["state"], entry["vanished_at"]] == [
        "agents", "wlp1", "unmatched", None
    ]  # fmt: skip
    assert api.get(f"{API}/okta/entries?gone=true").json()["results"] == []
    assert api.post(f"{API}/okta/run", {}, format="json").json()["state"] == "queued"
    assert api.post(f"{API}/okta/run", {}, format="json").json()["code"] == "discovery_run_open"
    everything = api.get(API).content + made.content
    assert CANARY.encode() not in everything


def test_without_a_fresh_proof_nothing_is_connected(ada: Person) -> None:
    refused = client.of(ada).post(f"{API}/connect/okta", FORM, format="json")
    assert refused.status_code == 403
    assert not DiscoverySource.objects.exists()
