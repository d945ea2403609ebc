"""Make a review of a fleet, each part in a process of its own: staged, launched, answered, closed."""

from __future__ import annotations

import resource
import sys
import threading
import time
from datetime import timedelta
from typing import Any, Final

from django.db import connection, connections, models, transaction
from django.db.models import Count

from audit import clock
from audit.context import SYSTEM
from entitlements.people.models import Person
from governance import tasks
from governance.reviews.campaigns import close as close_actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population import campaigns
from governance.reviews.population.models import PopulationRow
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch, staging
from governance.reviews.staging.models import CampaignStaging
from governance.reviews.suggestions.models import Suggestion

SLUG: Final = "fleet"
AT_ONCE, EACH = 8, 50
"""Reviewers who submit in parallel, and items of each."""
_TABLES: Final[tuple[type[models.Model], ...]] = (ReviewItem, PopulationRow, ReviewLine, Suggestion, Assignment)


def roll_up() -> dict[str, Any]:
    """Add the calls up that were sealed, as the worker does now and then."""
    tasks.roll_up_usage()
    return {}


def count() -> dict[str, Any]:
    """Do what the worker does now and then for pages: count what takes seconds, and put counts together."""
    took = {}
    for name, work in (("figures", tasks.count_figures), ("tallies", tasks.put_tallies_together)):
        began = time.perf_counter()
        work()
        took[name] = time.perf_counter() - began
    return took


def stage() -> dict[str, Any]:
    """Stage a review of everything, and write the same rows by plain statements beside it, which are rolled back."""
    ana = Person.objects.get(login="ana")
    made = campaigns.make(SLUG, name="Fleet", due_at=clock.now() + timedelta(days=30), by=ana)
    Campaign.objects.filter(pk=made.pk).update(load_cap=None)
    launch.stage(made.pk, by=ana)
    began, steps = time.perf_counter(), dict[str, float]()
    going = True
    while going:
        run, at = CampaignStaging.objects.get(campaign=made), time.perf_counter()
        going = staging.advance(made.pk)
        steps[run.step] = steps.get(run.step, 0) + time.perf_counter() - at
        say(f"{run.step}, from {run.upto:,} of {run.items:,}: {time.perf_counter() - at:.1f} s")
    seconds = time.perf_counter() - began
    run = CampaignStaging.objects.get(campaign=made)
    told = {"items": run.items, "grants": run.rows, "seconds": seconds, "steps": steps, "megabytes": _megabytes()}
    launch.activate(made.pk, by=ana, acknowledged=True)
    rows, plain = _plain(made)
    return {**told, "plain": plain, "plain_rows": rows}


def say(what: str) -> None:
    """Tell how far it has come, for whoever waits."""
    print(f"  {what}", file=sys.stderr, flush=True)


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _plain(campaign: Campaign) -> tuple[int, float]:
    """Copy the rows of a campaign to another one by plain statements, with every check; says how many, in what time."""
    due = clock.now() + timedelta(days=1)
    other = campaigns.make("plain", name="Plain", due_at=due, by=campaign.owner)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE renamed ON COMMIT DROP AS SELECT id AS item_id, gen_random_uuid() AS fresh"
            " FROM governance_reviewitem WHERE campaign_id = %s",
            [campaign.pk],
        )
        cursor.execute("CREATE UNIQUE INDEX ON renamed (item_id)")
        cursor.execute("ANALYZE renamed")
        began, rows = time.perf_counter(), 0
        for model in _TABLES:
            cursor.execute(*_copy(model, campaign, other))
            rows += cursor.rowcount
            say(f"plain, {model._meta.db_table}: {time.perf_counter() - began:.1f} s")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        took = time.perf_counter() - began
        transaction.set_rollback(True)
    return rows, took


def _copy(model: type[models.Model], campaign: Campaign, other: Campaign) -> tuple[str, dict[str, Any]]:
    """Return the statement that copies one table's rows."""
    is_item, table = model is ReviewItem, model._meta.db_table
    columns = [str(each.column) for each in model._meta.concrete_fields if not isinstance(each, models.AutoField)]
    fresh = {"campaign_id": "%(other)s", "item_id": "r.fresh", "id": "r.fresh" if is_item else "gen_random_uuid()"}
    values = [fresh.get(column, f"t.{column}") for column in columns]
    sql = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table} t"  # noqa: S608 - ours
    sql += f" JOIN renamed r ON r.item_id = t.{'id' if is_item else 'item_id'}"
    return sql, {"other": other.pk, "campaign": campaign.pk}


def answer() -> dict[str, Any]:
    """Let reviewers submit their items at the same moment."""
    campaign = Campaign.objects.get(slug=SLUG)
    live = Assignment.objects.filter(item__campaign=campaign, state=Assignment.State.ASSIGNED, draft=None)
    rows = live.filter(reviewer__isnull=False).values("reviewer")
    busy = rows.annotate(n=Count("pk")).filter(n__gt=0).order_by("-n").values_list("reviewer", flat=True)[:AT_ONCE]
    people = list(Person.objects.filter(pk__in=list(busy)))
    for person in people:
        mine = live.filter(reviewer=person).order_by("item__number")[:EACH]
        Draft.objects.bulk_create(
            Draft(
                assignment=each,
                verb="certify",
                kept_lines=list(ReviewLine.objects.filter(item=each.item_id).values_list("pk", flat=True)),
                saved_at=clock.now(),
            )
            for each in mine
        )
    start, took = threading.Barrier(len(people)), list[float]()

    def submit(person: Person) -> None:
        connection.ensure_connection()
        start.wait()
        began = time.perf_counter()
        submission.submit(campaign.pk, by=person, via=ReviewDecision.Via.UI)
        took.append(time.perf_counter() - began)
        connections.close_all()

    threads = [threading.Thread(target=submit, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"people": len(took), "each": EACH, "slowest": max(took)}


@transaction.atomic
def _give_outcomes(campaign: Campaign) -> int:
    """Do what the deadline does in one of its transactions."""
    return deadlines.carry_out(campaign, by=SYSTEM, reason="Nobody answered for it.")


def close() -> dict[str, Any]:
    """Close the review without the other answers: the deadline goes through them, and then its owner closes it."""
    campaign = Campaign.objects.get(slug=SLUG)
    still_open = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW).count()
    began = time.perf_counter()
    while _give_outcomes(campaign):
        pass
    close_actions.close(campaign.pk, by=campaign.owner, reason="Measured.")
    return {"items": still_open, "seconds": time.perf_counter() - began, "megabytes": _megabytes()}
