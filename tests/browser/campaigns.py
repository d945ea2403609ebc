"""Reviews at each point of their life, for pictures: templates, drafted, being staged, staged, and two answered."""

from __future__ import annotations

from datetime import timedelta

from audit import clock
from entitlements.catalog.models import System
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.staging import launch
from governance.reviews.templates import templates
from tests import make
from tests.governance.reviews import worlds

_SCOPE = {"systems": ["crm", "erp"]}


def every_state() -> dict[str, str]:
    """Make them; returns the short name of each by what it is."""
    ana = Person.objects.get(login="ana")
    made = {name: _drafted(name, ana) for name in ("drafted", "staging", "staged")}
    launch.stage(made["staging"].pk, by=ana)
    launch.stage_now(made["staged"].pk, by=ana)
    templates.save("everything", name="Everything, by hand", by=ana)
    return {name: campaign.slug for name, campaign in made.items()} | {"answered": _answered(ana)}


def _drafted(slug: str, by: Person) -> Campaign:
    due = clock.now() + timedelta(days=21)
    return campaigns.make(slug, name=f"Customers and invoices, {slug}", due_at=due, scope=_SCOPE, by=by)


def _answered(ana: Person) -> str:
    """Answer two reviews of the same agents: the second adds one, and one is kept that lost a part in the first."""
    sofia, bob = Person.objects.get(login="sofia"), Person.objects.get(login="bob")
    crm = System.objects.get(slug="crm")
    names = ("Desk triage", "Quote writer", "Churn watcher", "Refund helper")
    offer = make.entitlement(
        crm, *(make.tool(crm, f"desk_{verb}", action=verb) for verb in ("read", "write", "delete"))
    )
    bots = []
    for number, name in enumerate(names):
        bot = make.agent(f"desk-{number}", sponsor=sofia)
        type(bot).objects.filter(pk=bot.pk).update(name=name)
        bots.append(bot)
    for bot in bots[:3]:
        make.grant(bot, offer, people=[bob])
    scope = {"agents": [bot.slug for bot in bots]}
    last = ""
    for slug, name in (("desk-spring", "Desk agents, spring"), ("desk-summer", "Desk agents, summer")):
        last = slug
        made = campaigns.make(slug, name=name, due_at=clock.now() + timedelta(days=14), scope=scope, by=ana)
        launch.activate(made.pk, by=ana)
        items = list(ReviewItem.objects.filter(campaign=made).order_by("agent__slug"))
        first = items[0].lines.order_by("tool__name").first()
        assert first is not None
        some = Answer("reduce", "unused", "NodeReads is enough.", (first.pk,))
        said = [some if slug == "desk-spring" else worlds.KEEP, worlds.REMOVE, worlds.KEEP]
        worlds.answer(made, sofia, list(zip(items, said, strict=False)))
        if slug == "desk-spring":
            make.grant(bots[3], offer, people=[bob])
    return last
