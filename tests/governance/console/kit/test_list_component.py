"""The list of the console: its address, pages by key with missing values, counts, and files that hold the same rows."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.test import RequestFactory

from entitlements.agents.models import Agent
from entitlements.api.paging import BadCursor
from entitlements.people.models import Person
from governance.agents.pages.agent_list import LAYOUT
from governance.agents.queries import agents as read
from governance.console import doors
from governance.console.kit.lists import counts, lists, selection
from governance.console.kit.lists.address import changed, others
from governance.console.kit.lists.layout import Facet, Layout, ListMalformed
from governance.console.kit.lists.lists import List
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

PAGE = "/agents/"
HOSTILE = (
    "=1+1",
    '<script>alert("x")</script>',
    "a,b;c\td\r\n=cmd()",
    "name \u202e reversed",
    "'; DROP TABLE agents; --",
    "%s %(x)s {0} \\",
    "\uff1dSUM(A1)",
    "x" * 200,
    " ",
    "żółć 漢字 🦊",
)


def _fill(company: Company, count: int) -> None:
    owners = [company.otto, None, company.sam]
    states = ["active", "suspended", "active", "retired"]
    Agent.objects.bulk_create(
        Agent(
            slug=f"agent-{number:05}",
            name=f"{HOSTILE[number % len(HOSTILE)]} {number // 7}"[:200],
            purpose=HOSTILE[number % 3],
            kind=["service", "shared", "personal"][number % 3],
            sponsor=company.sofia if number % 2 else company.resa,
            owner=owners[number % 3],
            status=states[number % 4],
            status_reason="" if states[number % 4] == "active" else "a reason",
        )
        for number in range(count)
    )


def built() -> Company:
    """Make a company with agents of which many share each value, and many have none."""
    company = companies.found()
    _fill(company, 60)
    return company


made_world, company = shared.world(built)


def shown(person: Person, query: str, layout: Layout[Any, Any] = LAYOUT, rows: QuerySet[Any] | None = None) -> List:
    """Return the list as its templates get it."""
    request = RequestFactory().get(f"{PAGE}?{query}")
    request.user = person
    asked: dict[str, Any] = {}
    listed = read.listed(doors.caller(request)) if rows is None else rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "render", lambda _request, _template, context: asked.update(context))
        patch.setattr(lists, "patch_vary_headers", lambda *_: None)
        lists.show(request, layout, listed, "unused.html")
    found: List = asked["list"]
    return found


def names(found: List) -> list[str]:
    return [row.key for row in found.rows]


def query_of(address: str) -> str:
    return address.partition("?")[2]


SORTS = ("agent", "-agent", "sponsor", "-sponsor", "owner", "-owner", "state", "-added", "slug")


@pytest.mark.parametrize("sort", SORTS)
def test_pages_there_and_back_are_the_rows_of_the_file_in_its_order(company: Company, sort: str) -> None:
    layout = dataclasses.replace(LAYOUT, size=13)
    there, found = [], shown(company.ana, f"sort={sort}&columns=slug", layout)
    while True:
        there.append(names(found))
        if not found.addresses["next"]:
            break
        found = shown(company.ana, query_of(found.addresses["next"]), layout)
    walked = [slug for page in there for slug in page]
    assert len(walked) == len(set(walked)) == Agent.objects.count()
    answer = visits.as_(company.ana).get(PAGE, {"sort": sort, "columns": "slug", "export": "jsonl"})
    assert [json.loads(line)["slug"] for line in _body(answer).splitlines()] == walked
    back = [there[-1]]
    while found.addresses["previous"]:
        found = shown(company.ana, query_of(found.addresses["previous"]), layout)
        back.append(names(found))
    assert [slug for page in reversed(back) for slug in page] == walked


def test_rows_without_a_value_stand_last_in_both_directions(company: Company) -> None:
    for sort in ("owner", "-owner"):
        answer = visits.as_(company.ana).get(PAGE, {"sort": sort, "columns": "owner", "export": "jsonl"})
        owners = [json.loads(line)["owner"] for line in _body(answer).splitlines()]
        first_none = owners.index(None)
        assert all(owner is None for owner in owners[first_none:])
        assert owners[:first_none] == sorted(owners[:first_none], reverse=sort.startswith("-"))


def test_a_cursor_of_another_order_or_list_is_refused(company: Company) -> None:
    layout = dataclasses.replace(LAYOUT, size=5)
    cursor = shown(company.ana, "sort=agent", layout).page.next
    for query in (f"sort=added&cursor={cursor}", f"sort=-agent&cursor={cursor}", "cursor=x", "cursor="):
        with pytest.raises(BadCursor):
            shown(company.ana, query, layout)


@pytest.mark.parametrize(
    "query", ["sort=access", "sort=secret", "columns=agent,secret", "view=none", "export=xlsx", "view=state=x"]
)
def test_what_a_list_does_not_have_is_malformed(company: Company, query: str) -> None:
    with pytest.raises(ListMalformed):
        shown(company.ana, query)
    answer = visits.as_(company.ana).get(f"{PAGE}?{query}")
    assert (answer.status_code, b"list_malformed" in answer.content) == (400, True)


def test_an_unknown_value_of_a_facet_leaves_no_row_and_says_so(company: Company) -> None:
    page = visits.as_(company.ana).get(PAGE, {"state": "<b>odd</b>", "kind": "service"})
    text = visits.text(page)
    assert page.status_code == 200
    assert page.context["list"].rows == []
    assert "State has no value" in text
    assert "&lt;b&gt;odd&lt;/b&gt;" in text
    assert "<b>odd</b>" not in text
    assert shown(company.ana, "system=nothing-like-it").rows == []


@pytest.mark.parametrize(
    "query", ["", "state=suspended", "state=active&kind=service", "q=alert&kind=shared", "finding=orphaned"]
)
def test_each_value_is_counted_under_the_text_and_the_other_facets(company: Company, query: str) -> None:
    found = shown(company.ana, query)
    assert found.counts.total.rows == shown_count(company.ana, query)
    for menu in found.menus:
        for option in menu.options:
            if option.count is not None:
                address = query if option.is_chosen else query_of(option.address)
                assert option.count == counts.Count(shown_count(company.ana, address)), (menu.facet.name, option.label)


def shown_count(person: Person, query: str) -> int:
    answer = visits.as_(person).get(f"{PAGE}?{query}&columns=slug&export=jsonl")
    return len(_body(answer).splitlines())


def test_beyond_the_bound_counts_are_estimates_and_say_about(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST", 20)
    found = shown(company.ana, "")
    assert found.counts.total.about
    assert found.counts.total.rows >= 20
    few = shown(company.ana, "state=retired&kind=service")
    assert few.counts.total == counts.Count(5)
    assert "about" in visits.text(visits.as_(company.ana).get(PAGE))


def test_choices_with_conditions_of_their_own_and_several_at_once(company: Company) -> None:
    facets = (
        Facet[Agent]("state", "State", "status", choices=(("active", "Active"), ("retired", "Retired")), many=True),
    )
    layout = dataclasses.replace(LAYOUT, facets=facets)
    either = shown(company.ana, "state=active&state=retired", layout)
    assert either.counts.total.rows == Agent.objects.filter(status__in=["active", "retired"]).count()
    assert [option.is_chosen for option in either.menus[0].options] == [True, True]
    (left,) = [each for each in either.chips if each.label == "Active"]
    assert query_of(left.address) == "state=retired"


def test_a_view_is_a_query_and_what_the_address_says_besides_counts_more(company: Company) -> None:
    suspended = shown(company.ana, "view=suspended")
    assert {row.row.status for row in suspended.rows} == {"suspended"}
    (chip,) = suspended.chips
    assert shown(company.ana, query_of(chip.address)).counts.total.rows == Agent.objects.count()
    assert {row.row.status for row in shown(company.ana, "view=suspended&state=retired").rows} == {"retired"}


def test_links_keep_what_else_the_address_says() -> None:
    request = RequestFactory().get("/x/?tab=a&state=b&cursor=c&q=%C3%A4&export=csv")
    request.user = AnonymousUser()
    assert changed(request, state="") == "/x/?tab=a&q=%C3%A4"
    assert changed(request, sort="-life", state=["x", "y"]) == "/x/?tab=a&state=x&state=y&q=%C3%A4&sort=-life"
    assert others(request, "q") == [("tab", "a"), ("state", "b")]


def test_ten_thousand_hostile_rows_leave_as_they_are_listed(company: Company) -> None:
    Agent.objects.filter(slug__startswith="agent-").delete()
    _fill(company, 10_000)
    browser, query = visits.as_(company.ana), {"state": "active", "sort": "-agent", "columns": "slug,agent,owner"}
    wanted = Agent.objects.filter(status="active").order_by("-name", "-pk").values_list("slug", "name", "owner__name")
    expected = [tuple(row) for row in wanted]
    lines = _body(browser.get(PAGE, {**query, "export": "jsonl"})).splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == expected
    table = list(csv.reader(io.StringIO(_body(browser.get(PAGE, {**query, "export": "csv"})), newline="")))
    assert table[0] == ["slug", "agent", "owner"]
    assert [row[0] for row in table[1:]] == [slug for slug, _name, _owner in expected]
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d")) for row in table for cell in row)


def test_a_file_holds_what_the_person_sees_and_nothing_else(company: Company) -> None:
    for person in (company.sofia, company.mallory):
        mine = _body(visits.as_(person).get(PAGE, {"columns": "slug", "export": "jsonl"})).splitlines()
        seen = Agent.objects.filter(sponsor=person) | Agent.objects.filter(owner=person)
        assert {json.loads(line)["slug"] for line in mine} == set(seen.values_list("slug", flat=True))


def test_the_forms_of_a_list_work_without_script(company: Company) -> None:
    browser = visits.as_(company.ana)
    page = browser.get(PAGE, {"columns": ["agent", "slug"], "sort": "-slug", "q": "agent-0000"})
    assert [head.column.name for head in page.context["list"].heads] == ["agent", "slug"]
    text = visits.text(page)
    assert 'aria-sort="descending"' in text
    assert '<input type="hidden" name="sort" value="-slug">' in text
    assert "agent-00009" in text
    assert text.index("agent-00009") < text.index("agent-00008")
    part = browser.get(PAGE, headers={"HX-Request": "true", "HX-Target": "section#list-agents"})
    assert visits.text(part).lstrip().startswith('<section class="list" id="list-agents"')
    assert "HX-Request" in part["Vary"]


def test_nobody_has_no_agents(company: Company) -> None:
    person = make.person()
    assert shown(person, "").rows == []
    assert "No agents yet" in visits.text(visits.as_(person).get(PAGE))
    assert "No agents yet" not in visits.text(visits.as_(company.ana).get(PAGE, {"q": "nothing like it"}))


def test_all_that_match_are_named_before_an_act_up_to_the_bound(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "MOST", 12)
    ana = visits.as_(company.ana)
    page = visits.text(ana.get(PAGE, {"kind": "service"}))
    assert "that match" not in page, "one page shows them all"
    page = visits.text(ana.get(PAGE))
    assert "Select all 61 that match, the first 12 at a time" in page
    form = {"all": "yes", "list": "agents", "query": "state=active&kind=service&sort=-agent"}
    looked = ana.post("/stop/several/agent/", form)
    expected = Agent.objects.filter(status="active", kind="service").order_by("-name", "-pk")[:12]
    keys = re.findall(r'name="key" value="([^"]+)"', visits.text(looked))
    assert keys == [agent.slug for agent in expected]
    for wrong in ({"list": "none"}, {"query": "sort=none"}):
        assert ana.post("/stop/several/agent/", {**form, **wrong}).status_code == 400
    assert ana.post("/stop/several/grant/", form).status_code == 400
    mallory = visits.as_(company.mallory)
    assert mallory.post("/stop/several/agent/", form).status_code == 422


def test_a_facet_takes_a_display_name_and_shows_it(company: Company) -> None:
    by_name = shown(company.ana, "sponsor=sofia")
    assert names(shown(company.ana, "sponsor=SOFIA")) == names(by_name)
    assert {row.row.sponsor for row in by_name.rows} == {company.sofia}
    assert [(chip.label, chip.is_known) for chip in by_name.chips] == [("Sofia", True)]
    (chip,) = shown(company.ana, "sponsor=no+such+person").chips
    assert (chip.label, chip.is_known) == ("no such person", False)


def _body(answer: Any) -> str:  # noqa: ANN401 - an answer of Django's test client
    return b"".join(answer.streaming_content).decode()
