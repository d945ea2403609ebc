"""Views that people save: whose they are, who finds them, what they keep, and what is refused."""

from __future__ import annotations

import pytest

from audit.actions import Action
from audit.models import Event
from governance.saved_views import saved_views
from governance.saved_views.models import SavedView
from tests import shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PAGE, SAVE = "/agents/", "/views/"
FORM = {"list": "agents", "name": "Quiet ones", "query": "state=suspended&sort=-agent", "next": PAGE}

made_world, company = shared.world(companies.found)


def test_a_view_is_saved_opened_and_deleted_without_script(company: Company) -> None:
    ana = visits.as_(company.ana)
    page = visits.text(ana.get(PAGE, {"state": "active", "cursor": "x"}, follow=True))
    page = visits.text(ana.get(PAGE, {"state": "active", "view": "orphaned"}))
    assert 'name="query" value="finding=orphaned&amp;state=active"' in page
    response = ana.post(SAVE, FORM)
    view = SavedView.objects.get()
    assert response["Location"] == f"{PAGE}?view={view.pk}"
    opened = ana.get(PAGE, {"view": str(view.pk)})
    assert opened.context["list"].asked.chosen == {"state": ["suspended"]}
    assert (opened.context["list"].asked.sort, opened.context["list"].asked.is_down) == ("agent", True)
    assert f"Delete the view “{view.name}”" in visits.text(opened)
    assert ana.post(f"/views/{view.pk}/delete/", {"next": PAGE})["Location"] == PAGE
    assert not SavedView.objects.exists()
    assert ana.get(PAGE, {"view": str(view.pk)}).status_code == 400, (
        "a deleted view is malformed, and shows nothing else"
    )
    events = Event.objects.filter(action__in=[Action.SAVED_VIEW_CREATED, Action.SAVED_VIEW_DELETED]).order_by("at")
    assert [(event.action, event.actor) for event in events] == [
        ("saved_view.created", "person:ana"),
        ("saved_view.deleted", "person:ana"),
    ]


def test_a_view_is_found_opened_and_deleted_by_its_owner_alone(company: Company) -> None:
    view = saved_views.create(list_name="agents", name="Mine", query="state=active", by=company.ana)
    sofia = visits.as_(company.sofia)
    assert "Mine" not in visits.text(sofia.get(PAGE))
    assert sofia.get(PAGE, {"view": str(view.pk)}).status_code == 400
    assert sofia.post(f"/views/{view.pk}/delete/", {"next": PAGE}).status_code == 404
    assert SavedView.objects.get() == view


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"name": "  "}, 422, "saved_view_malformed"),
        ({"list": "Agents/"}, 422, "saved_view_malformed"),
        ({"name": "Kept"}, 409, "saved_view_name_taken"),
        ({"name": "One more"}, 409, "saved_views_too_many"),
    ],
)
def test_what_is_no_view_is_refused(
    company: Company, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], status: int, code: str
) -> None:
    saved_views.create(list_name="agents", name="Kept", query="", by=company.ana)
    if code == "saved_views_too_many":
        monkeypatch.setattr(saved_views, "MOST", 1)
    response = visits.as_(company.ana).post(SAVE, {**FORM, **changes})
    assert (response.status_code, code in visits.text(response)) == (status, True)
    assert SavedView.objects.count() == 1


def test_a_query_keeps_nothing_that_names_a_view_a_place_or_a_file() -> None:
    assert saved_views.cleaned("view=x&q=a%26b&cursor=c&columns=a,b&export=csv") == "q=a%26b&columns=a,b"


def test_a_query_that_the_list_no_longer_knows_is_refused_when_it_is_opened(company: Company) -> None:
    view = saved_views.create(list_name="agents", name="Old", query="sort=gone", by=company.ana)
    ana = visits.as_(company.ana)
    assert ana.get(PAGE, {"view": str(view.pk)}).status_code == 400
    assert ana.get(PAGE).status_code == 200


def test_the_api_lists_creates_and_deletes_ones_own(company: Company) -> None:
    ana = client.of(company.ana)
    body = {"list": "agents", "name": "By API", "query": "state=active"}
    assert ana.post("/api/v1/saved-views", {**body, "shared": True}, format="json").status_code == 400
    made = ana.post("/api/v1/saved-views", body, format="json")
    assert made.status_code == 201, made.content
    assert made.json()["owner"] == "ana"
    for person, names in ((company.ana, ["By API"]), (company.sofia, [])):
        listed = client.of(person).get("/api/v1/saved-views", {"list": "agents"}).json()["results"]
        assert [view["name"] for view in listed] == names
    where = f"/api/v1/saved-views/{made.json()['id']}/delete"
    assert client.of(company.sofia).post(where, {}, format="json").status_code == 404
    assert ana.post(where, {}, format="json").status_code == 200
    assert not SavedView.objects.exists()
