"""A new review in three steps, begun from nothing, from a template, or from the filter of a list."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest

from audit import clock
from governance.reviews.campaigns.models import Campaign
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.spot_checks.models import SpotCheckPlan
from governance.reviews.templates import templates
from governance.reviews.templates.templates import Recurrence
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

made_world, company = shared.world(companies.found)
NEW = "/reviews/new/"
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def _links(page: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'href="(/reviews/new/\?[^"]*)"', page)]


def _hidden(page: str) -> dict[str, str]:
    main = page.split("<main", 1)[1]
    return {name: unescape(value) for name, value in HIDDEN.findall(main) if name != "csrfmiddlewaretoken"}


def test_the_filter_of_a_list_becomes_a_review_from_a_template_in_three_pages(company: Company) -> None:
    worlds.granted(company)
    make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    options = CampaignOptions(kind="resource_owner", asks_owner=True)
    recurrence = Recurrence(days=10, spot_share=20, spot_days=5)
    templates.save("access", name="Access", options=options, recurrence=recurrence, by=company.ana)
    ana = visits.as_(company.ana)

    first = visits.text(ana.get(f"{NEW}?agent=helper&unused=yes"))
    assert "All access in force of helper, not called in 90 days." in first
    (scope,) = [link for link in _links(first) if "template=access" in link]
    second = visits.text(ana.get(scope))
    assert re.search(r'name="kind" value="resource_owner"\s+checked', second)
    assert re.search(r'name="agent" value="helper"', second)
    assert "1 grant, 1 item to decide" in second
    filled = {"template": "access", "kind": "resource_owner", "agent": "helper", "step": "reviewers"}
    third = visits.text(ana.get(NEW, filled))
    assert 'value="Access, ' in third
    assert re.search(r'name="asks_owner" value="yes"\s+checked', third)
    assert _hidden(third) == {"template": "access", "kind": "resource_owner", "agent": "helper"}

    due = (clock.now() + timedelta(days=9)).date().isoformat()
    made = ana.post(NEW, {**_hidden(third), "name": "Helpers", "due": due, "asks_owner": "yes"})

    campaign = Campaign.objects.select_related("template").get()
    assert made["Location"] == "/reviews/helpers/"
    assert (campaign.scope, campaign.kind, campaign.asks_owner) == ({"agents": ["helper"]}, "resource_owner", True)
    assert campaign.template is not None
    assert campaign.template.slug == "access"
    assert SpotCheckPlan.objects.values_list("share", "days").get() == (20, 5)

    made = ana.post(NEW, {**_hidden(third), "name": "Again", "due": due, "asks_owner": "yes", "do": "launch"})

    assert made["Location"] == "/reviews/again/?launch=yes"
    assert Campaign.objects.get(slug="again").state == Campaign.State.DRAFT, "it is launched by a form of its own"
    assert '<details class="act" open>' in visits.text(ana.get(made["Location"]))
    assert '<details class="act" open>' not in visits.text(ana.get("/reviews/again/"))


def test_each_step_goes_back_with_everything_that_was_filled_in(company: Company) -> None:
    worlds.granted(company)
    due = (clock.now() + timedelta(days=9)).date().isoformat()
    sent = {"kind": "findings", "risk": "high", "name": "Kept", "due": due, "who_low": "all_must_keep"}
    ana = visits.as_(company.ana)
    back = ana.post(NEW, {**sent, "step": "scope"})
    assert back.status_code == 302
    page = visits.text(ana.get(back["Location"]))
    assert re.search(r'name="kind" value="findings"\s+checked', page)
    assert _hidden(page) == {name: sent[name] for name in ("name", "due", "who_low")}
    assert not Campaign.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "step"),
    [({"older": "soon"}, "scope"), ({"system": "none"}, "scope"), ({"due": "2020-01-01"}, "reviewers")],
)
def test_what_is_refused_comes_back_at_its_step_with_all_of_it(
    company: Company, wrong: dict[str, str], step: str
) -> None:
    worlds.granted(company)
    due = (clock.now() + timedelta(days=9)).date().isoformat()
    answer = visits.as_(company.ana).post(NEW, {"kind": "ownership", "name": "Mine", "due": due, **wrong})
    page = visits.text(answer)
    assert answer.context["step"] == step
    assert ('role="alert"' in page, 'value="Mine"' in page) == (True, True)
    (name,) = wrong
    assert name == "system" or f'value="{wrong[name]}"' in page
    assert not Campaign.objects.exists()


def test_a_scope_that_the_form_has_no_words_for_stays_that_of_its_template(company: Company) -> None:
    worlds.granted(company)
    odd = {"where": {"not": {"field": "agent.slug", "op": "eq", "value": "x"}}}
    templates.save("odd", name="Odd", scope=odd, by=company.ana)
    ana = visits.as_(company.ana)
    assert "It is kept as it is" in visits.text(ana.get(NEW, {"template": "odd", "step": "scope"}))
    due = (clock.now() + timedelta(days=9)).date().isoformat()
    ana.post(NEW, {"template": "odd", "kind": "agent_owner", "name": "Odder", "due": due})
    assert Campaign.objects.get().scope == odd
