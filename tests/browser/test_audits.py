"""What pa11y and Lighthouse say of the pages: nothing, and 100 for accessibility and best practices.

Each page of the gallery is looked at, light and dark, at 1440, 390 and 320 px. Lighthouse loads a page once, for what
depends on neither. It is part of `make full` alone: a page takes seconds.
"""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_django.live_server_helper import LiveServer

from entitlements.people.models import Person
from tests.browser import audits, test_gallery, world
from tests.governance.console import visits

PEOPLE: Final = ("ana", "admin", "resa", "sofia", "olga")
"""Who looks at a page: the first of them to whom it is shown."""


@pytest.fixture
def company(company: None) -> None:  # noqa: ARG001 - the company, and a review in it
    world.review()


def _cookies(login: str) -> list[dict[str, Any]]:
    cookies = visits.as_(Person.objects.get(login=login)).cookies
    return [{"name": name, "value": each.value} for name, each in cookies.items()]


def _shown() -> dict[str, list[str]]:
    """Return by person the pages that are shown to them, each page once; what leads elsewhere or says no is none."""
    paths = list(dict.fromkeys(path for _name, path in test_gallery.addresses()))
    browsers = {login: visits.as_(Person.objects.get(login=login)) for login in PEOPLE}
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for login, browser in browsers.items():
            if browser.get(path).status_code == HTTPStatus.OK:
                found[login].append(path)
                break
    return found


@pytest.mark.soak
@pytest.mark.usefixtures("company")
@pytest.mark.timeout(7200)
def test_every_page_stands_pa11y_and_lighthouse(live_server: LiveServer, tmp_path: Path) -> None:
    address = live_server.url.replace("127.0.0.1", "localhost")
    shown = {"": ["/login/"], **_shown()}
    looked = [{"cookies": _cookies(login) if login else [], "paths": paths} for login, paths in shown.items()]
    found, took = audits.look(address, looked, tmp_path)
    print(f"\n{len(took)} pages in {sum(took.values()) // 1000} s")  # noqa: T201 - for the reader of the run
    assert found == [], "\n".join(found)
    assert len(took) == sum(map(len, shown.values()))
