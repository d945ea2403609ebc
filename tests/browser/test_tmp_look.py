import os
import pytest
from audit import clock
from entitlements.people.models import Person
from entitlements.people_sources.models import PeopleSource, SourcedPerson
from entitlements.grants.models import Grant
from tests.browser import elsewhere, world
from tests.browser.conftest import Visitor
from tests.browser.test_gallery import look_at
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

def test_look(visitor: Visitor, company: None) -> None:
    world.review()
    source = PeopleSource.objects.create(slug="hr", name="HR", digest="0" * 64, created_at=clock.now())
    for login, dep in (("sofia", "Finance"), ("sam", "Operations"), ("otto", "Finance")):
        SourcedPerson.objects.create(source=source, person=Person.objects.get(login=login), user_name=login, created_at=clock.now(), changed_at=clock.now(),
            said={"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": dep}})
    batch, flows = elsewhere.access()
    grant = Grant.objects.filter(agent__slug="expense-bot").get()
    pages = {
        "agents": "/agents/", "agent": "/agents/invoice-matcher/", "agent-tokens": "/agents/expense-bot/?tab=tokens", "agent-people": "/agents/research-bot/?tab=people",
        "agent-reviews": "/agents/research-bot/?tab=reviews", "agent-versions": "/agents/research-bot/?tab=versions", "agent-orphan": "/agents/orphan-bot/",
        "agent-edit": "/agents/expense-bot/edit/", "grants": "/grants/", "grant": f"/grants/{grant.pk}/?prove", "sessions": "/sessions/", "blast": "/blast-radius/",
        "people": "/people/", "person": "/people/alice/", "groups": "/groups/", "group": "/groups/research/", "client": "/agents/expense-bot/clients/expense-bot/",
        "system": "/systems/erp/", "tool": "/systems/crm/tools/export_customers/", "token-health": "/token-health/", "coverage": "/coverage/", "onboarding": "/onboarding/",
        "batch": f"/onboarding/{batch.pk}/", "tokens": "/token-health/tokens/", "connections": "/people/alice/connections/", "kinds": "/settings/agents/",
        "documents": "/settings/clients/", "compare": "/onboarding/compare/", "flow": f"/coverage/{flows[0].pk}/", "my-agents": "/my-agents/", "sources": "/settings/people-sources/",
    }
    wanted = os.environ.get("ONLY", "").split(",")
    visitor.sign_in("ana")
    wrong = []
    for name, path in pages.items():
        if wanted != [""] and name not in wanted: continue
        wrong += look_at(visitor, name, path)
    print("\n".join(wrong + visitor.wrong))
    assert not wrong and not visitor.wrong, "\n".join(wrong + visitor.wrong)
