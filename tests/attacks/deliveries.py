"""Spoilt text that no request carries: files that people bring, tools that an upstream lists, messages of the queue."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from audit.context import SYSTEM
from entitlements.catalog import discovery
from entitlements.catalog_files import imports
from entitlements.people_sources import people_files
from governance import tasks
from governance.onboarding import batches
from tests.attacks.texts import SPOILS, Answer, Case, Json
from tests.governance.console import addresses as pages
from tests.governance.scim.directory import Directory


def files(world: pages.World, directory: Directory) -> Iterator[Case]:
    """Yield files of each kind that a person may bring, with a spoilt text in each place."""
    ana = world.company.ana
    for spoil, value in SPOILS.items():
        text = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode()
        for field in ("name", "description", "url", "inputSchema", "title"):
            tool = {"name": "t", "inputSchema": {}, field: value}
            for offered in ({"name": "s1", "tools": [tool]}, {"name": "s1", "tools": [], field: value}):
                listed = json.dumps([offered]).encode()
                look = partial(imports.preview, listed, file_name="a.json", owner=ana, by=ana.principal)
                yield Case(f"catalogue {field} {spoil}", partial(Answer.of_act, look))
        for cells in (
            [text, b"clock", b"now", b"alice"],
            [b"bot", text, text, b"alice"],
            [b"bot", b"clock", b"now", text],
        ):
            table = b"agent,system,tools,person\n" + b",".join(cells) + b"\n"
            read = partial(batches.prepare, table, file_name="a.csv", by=ana)
            yield Case(f"access table {spoil}", partial(Answer.of_act, read))
        if isinstance(value, str) and spoil != "lone surrogate":  # its doors take UTF-8, which holds none
            people_table = f"login,name,email,groups\na@example.org,{value},{value},{value}\n"
            plan = partial(people_files.plan, directory.source, people_table, complete=False, by=ana.principal)
            yield Case(f"people table {spoil}", partial(Answer.of_act, plan))


def definitions(world: pages.World) -> Iterator[Case]:
    """Yield what an upstream may list as a tool, spoilt in each place."""
    usual: dict[str, Json] = {"name": "now", "description": "d", "inputSchema": {"type": "object"}, "annotations": {}}
    for spoil, value in SPOILS.items():
        for field in (*usual, "title", "outputSchema", "_meta"):
            offered = {**usual, field: value}
            see = partial(discovery.record_discovery, world.company.system, [offered], by=SYSTEM, complete=False)
            yield Case(f"tool {field} {spoil}", partial(Answer.of_act, see))
        if isinstance(value, str):
            schema_of = {"type": "object", "properties": {value: {"enum": [value], "description": value}}}
            see = partial(
                discovery.record_discovery, world.company.system, [{**usual, "inputSchema": schema_of}], by=SYSTEM
            )
            yield Case(f"tool schema {spoil}", partial(Answer.of_act, partial(see, complete=False)))


def messages() -> Iterator[Case]:
    """Yield messages of the queue whose one argument is spoilt: the job fails, the worker goes on."""
    for name, job in vars(tasks).items():
        if not hasattr(job, "delay") or len(inspect.signature(job.run).parameters) != 1:
            continue
        for spoil, value in SPOILS.items():
            yield Case(f"{name} {spoil}", partial(_message, job, value))


def _message(job: Any, value: Json) -> Answer:  # noqa: ANN401 - celery's own type
    state = job.apply(args=[value]).state
    return Answer(200 if state == "SUCCESS" else 400, state)
