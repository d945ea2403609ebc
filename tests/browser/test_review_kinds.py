"""The workbench of reviews of other things than access, looked at in every way as each page of the gallery is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from entitlements.people.models import Person
from governance.reviews.population import campaigns
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from tests.browser.conftest import Visitor
from tests.browser.test_gallery import look_at


@pytest.mark.parametrize("kind", ["ownership", "entitlement_definition"])
@pytest.mark.usefixtures("company")
def test_what_is_no_access_is_asked_about_in_plain_words(visitor: Visitor, kind: str) -> None:
    slug, due = f"of-{kind.replace('_', '-')}", clock.now() + timedelta(days=14)
    ana = Person.objects.get(login="ana")
    made = campaigns.make(slug, name=f"Our {kind}", due_at=due, options=CampaignOptions(kind=kind), by=ana)
    launch.activate(made.pk, by=ana)
    asked = Assignment.objects.filter(item__campaign=made, reviewer__isnull=False).order_by("item__number").first()
    assert asked is not None
    assert asked.reviewer is not None
    visitor.sign_in(asked.reviewer.login)
    wrong: list[str] = []
    for name, path in (("work", "work/"), ("item", f"items/{asked.item_id}/")):
        wrong += look_at(visitor, f"{kind}-{name}", f"/reviews/{slug}/{path}")
    assert not wrong + visitor.wrong, "\n".join(wrong)
