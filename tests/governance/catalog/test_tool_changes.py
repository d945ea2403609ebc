"""What changed since somebody approved it is one list over all systems, with what becomes of each."""

from __future__ import annotations

import pytest

from audit.models import Event
from entitlements.catalog import discovery
from entitlements.catalog.models import Tool
from governance.notices import listener
from governance.notices.models import Notice
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PAGE = "/tool-changes/"


def _company() -> Company:
    """Make the company, with a text that changed at one system and a schema at another."""
    company = companies.found()
    other = make.system("office", owner=company.mona)
    make.tool(other, "book", risk="high")
    texts = [dict(tool.seen.definition) for tool in company.system.tools.order_by("pk") if tool.seen]
    texts[0]["description"] += " And says it nicely."
    discovery.record_discovery(company.system, texts, by=company.ana.principal)
    schema = {"type": "object", "properties": {"all": {"type": "boolean"}}}
    changed = [{"name": "book", "description": "Does book.", "inputSchema": schema}]
    discovery.record_discovery(other, changed, by=company.ana.principal)
    return company


made_world, company = shared.world(_company)


def states() -> dict[str, str]:
    return {tool.name: tool.state for tool in Tool.objects.filter(discovery.changed())}


def test_the_list_names_what_is_stopped_and_what_is_served_as_approved(company: Company) -> None:
    assert states() == {"now": "approved", "book": "quarantined"}
    ana = visits.as_(company.ana)
    page = visits.text(ana.get(PAGE))
    assert ("/tools/now/" in page, "/tools/book/" in page, "And says it nicely." in page) == (True, True, True)
    assert "/tools/book/" not in visits.text(ana.get(f"{PAGE}?state=approved"))
    rows = client.of(company.ana).get("/api/v1/tools?changed=true").json()["results"]
    assert {row["name"] for row in rows} == {"now", "book"}
    others = client.of(company.ana).get("/api/v1/tools?changed=false").json()["results"]
    assert {row["name"] for row in others} == {"convert", "remove", "wipe"}
    refused = visits.as_(company.sofia).post(PAGE, {"system": "clock", "tool": "now", "verb": "quarantine"})
    assert refused.status_code in (403, 404)
    assert states()["now"] == "approved"


def test_one_is_stopped_or_approved_from_the_list_as_it_was_read(company: Company) -> None:
    ana = visits.as_(company.ana)
    assert ana.post(PAGE, {"system": "clock", "tool": "now", "verb": "quarantine"})["Location"] == PAGE
    assert states()["now"] == "quarantined"
    tool = Tool.objects.select_related("seen").get(name="book")
    form = {
        "system": "office",
        "tool": "book",
        "verb": "approve",
        "sentence": "Books.",
        "action": "write",
        "risk": "high",
    }
    stale = ana.post(PAGE, {**form, "sha256": "0" * 64})
    assert (stale.status_code, "Books." in visits.text(stale)) == (409, True)
    assert tool.seen is not None
    assert ana.post(PAGE, {**form, "sha256": tool.seen.sha256}).status_code == 302
    assert "book" not in states()


def test_the_owner_hears_of_a_text_that_changed_though_nothing_stopped(company: Company) -> None:
    for event in Event.objects.order_by("at", "sequence"):
        listener.notify(event)
    told = {notice.person.login: (notice.sentence, notice.urgent) for notice in Notice.objects.select_related("person")}
    assert told["mona"] == ("book of office is stopped until it is reviewed.", True)
    assert told["sam"] == ("The texts of now of clock changed. Agents are served it as it was approved.", False)
    assert company.sam.login in told
