"""Imports that meet somebody: two workers at once, and a system that is registered while the file is taken in."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from audit.context import SYSTEM
from audit.export import timeline
from entitlements.catalog import systems
from entitlements.catalog.models import System, Tool
from entitlements.catalog_files import imports
from entitlements.catalog_files.models import CatalogImport
from tests import make, waits
from tests.entitlements import catalogues

pytestmark = pytest.mark.django_db(transaction=True)


def _confirmed(value: object) -> CatalogImport:
    ana = make.analyst("ana")
    looked = imports.preview(catalogues.content(value), file_name="x", owner=make.person("olga"), by=ana.principal)
    return imports.confirm(looked, by=ana.principal)


def test_two_workers_at_once_take_each_system_in_once() -> None:
    running = _confirmed(catalogues.systems(200, 400))

    def work() -> None:
        while not CatalogImport.objects.filter(pk=running.pk, state="done").exists():
            imports.continue_import(running.pk)
        connections.close_all()

    with ThreadPoolExecutor(2) as lanes:
        for lane in [lanes.submit(work) for _ in range(2)]:
            lane.result()

    running.refresh_from_db()
    assert (running.counts["systems_new"], running.counts["tools_new"], running.counts["tools_same"]) == (200, 400, 0)
    assert Tool.objects.count() == 400
    assert len([event for event in timeline.of("import", str(running.pk)) if event.action == "import.finished"]) == 1


def test_a_worker_leaves_alone_what_another_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    running = _confirmed(catalogues.systems(2, 2))
    inside, go = threading.Event(), threading.Event()
    take_in = imports._take_in

    def slowly(*args: object, **kwargs: object) -> None:
        inside.set()
        assert go.wait(waits.SECONDS)
        take_in(*args, **kwargs)  # type: ignore[arg-type]

    def work() -> None:
        imports.continue_import(running.pk)
        connections.close_all()

    monkeypatch.setattr(imports, "_take_in", slowly)
    with ThreadPoolExecutor(1) as lanes:
        first = lanes.submit(work)
        assert inside.wait(waits.SECONDS)
        assert imports.continue_import(running.pk) is False
        go.set()
        first.result()

    assert Tool.objects.count() == 2


def test_a_system_that_is_registered_meanwhile_is_known_then(monkeypatch: pytest.MonkeyPatch) -> None:
    running = _confirmed([{"name": "time", "title": "From the file", "tools": [catalogues.tool(0)]}])
    owner = make.person("otto")
    take_in = imports._take_in

    def late(*args: object, **kwargs: object) -> None:
        if not System.objects.filter(slug="time").exists():

            def register() -> None:
                systems.register_system(
                    "time",
                    name="Time",
                    kind="mcp_gateway",
                    owner=owner,
                    upstream_url="https://time.example/mcp",
                    by=SYSTEM,
                )
                connections.close_all()

            with ThreadPoolExecutor(1) as lanes:
                lanes.submit(register).result()
        take_in(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(imports, "_take_in", late)
    imports.continue_import(running.pk)

    running.refresh_from_db()
    assert (running.state, running.counts["systems_known"], running.counts["tools_new"]) == ("done", 1, 1)
    assert (System.objects.get(slug="time").name, System.objects.get(slug="time").owner) == ("Time", owner)
