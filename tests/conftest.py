"""What every test stands on: the real servers, one database per worker, and a clock that can be moved."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from httpx2._config import DEFAULT_TIMEOUT_CONFIG
from pytest_django.plugin import DjangoDbBlocker

from scripts import devstack
from tests import again, connections, databases, durations, kept_schema, parts, processes, seeds, waits
from tests.conformance import nodejs
from tests.parts import pytest_addoption, pytest_ignore_collect

if TYPE_CHECKING:
    from tests.corpus import Corpus

__all__ = ["pytest_addoption", "pytest_ignore_collect"]

LONG = 5.0
"""CPU seconds of a module that a worker begins with."""
LOOPBACK = ["127.0.0.1", "::1", "localhost"]
STACK: pytest.StashKey[devstack.Stack] = pytest.StashKey()
DATABASE: pytest.StashKey[DjangoDbBlocker | None] = pytest.StashKey()
"""What opens this worker's database, while there is one."""
hypothesis.settings.register_profile(
    "any machine",
    max_examples=seeds.cases(2_000, short=100),
    deadline=None,
    derandomize=False,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")
"""How fast examples are made says how busy the machine is, and at first use that tables of letters are made."""
for _bound in DEFAULT_TIMEOUT_CONFIG.as_dict():  # of each client that names none: five seconds else
    setattr(DEFAULT_TIMEOUT_CONFIG, _bound, waits.SECONDS)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once a run, before Django reads its settings; workers inherit the environment."""
    _keep_bytecode()
    for plugin in (again, connections, durations, nodejs, processes, seeds):
        config.pluginmanager.register(plugin)
    parts.mark_whole(config)
    if databases.RUN not in os.environ:
        config.stash[STACK] = stack = devstack.Stack(fast=True, kept=kept_schema.path())
        os.environ.update(stack)
        databases.begin_run(getattr(stack, "postgres", None))
    elif databases.WORKER not in os.environ:
        pytest.exit(f"{databases.RUN} is left over in the environment.", returncode=4)
    if databases.WORKER in os.environ or not config.getoption("numprocesses", default=None):
        databases.point_here()
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
        os.environ.setdefault("LISTEN_TO_SYSTEMS", "0")  # what an upstream is sent is counted by many tests
        _spare_the_tests()
        gc.disable()  # until all is collected: nothing of it is garbage


def _keep_bytecode() -> None:
    """Let no child compile the product and its packages again, which takes half of its time; as the Makefile does."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """Look for garbage in what tests make, and seldom in what is old: looking through all that is loaded takes long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 20, 100)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Make the worlds that tests before this one asked for."""
    snapshots, blocker = sys.modules.get("tests.snapshots"), item.config.stash.get(DATABASE, None)
    if snapshots is not None and blocker is not None:
        with blocker.unblock():
            snapshots.take_wanted()


def _spare_the_tests() -> None:
    """Hash passwords fast, serve static files from where they lie, limit no rates, be set up; else be production."""
    from django.conf import settings  # noqa: PLC0415 - the environment is complete only now
    from django.core.servers.basehttp import WSGIRequestHandler  # noqa: PLC0415 - as above

    from tests import savepoints  # noqa: PLC0415 - as above

    savepoints.send_directly()
    # An answer leaves in two parts, and the second would wait 40 ms for the first to be acknowledged.
    WSGIRequestHandler.disable_nagle_algorithm = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.SETUP_FIRST = False  # as on an installation whose set-up page is green
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 0)  # most tests may open no socket
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STATIC_ROOT, settings.WHITENOISE_USE_FINDERS, settings.WHITENOISE_AUTOREFRESH = None, True, True


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers; on a server that we were given, drop what we made."""
    if (stack := config.stash.get(STACK, None)) is None:
        return
    if not hasattr(stack, "postgres"):
        databases.drop_run()
    stack.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Open sockets by a test's place, or where it says `loopback`, and to this machine alone."""
    parts.deselect(config, items)
    for item in items:
        if item.get_closest_marker("loopback") or processes.is_about_processes(item.path):
            item.add_marker(pytest.mark.allow_hosts(LOOPBACK))
    items[:] = _long_ones_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _long_ones_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Let each worker begin with its share of the modules that take long, so that none is left alone at the end.

    A worker gets as many tests as another, cut from the list in one piece: so the long modules stand where its piece
    begins, whole, and short ones fill it up. What makes a module long to set up is then set up once.
    """
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    taken = {path: parts.seconds({parts.function(item.nodeid) for item in of}) for path, of in modules.items()}
    long = [modules[path] for path in sorted(modules, key=lambda path: -taken[path]) if taken[path] >= LONG]
    short = [item for path, of in modules.items() if taken[path] < LONG for item in of]
    ordered: list[pytest.Item] = []
    for number in range(workers):
        ordered += [item for of in long[number::workers] for item in of]
        ends = len(items) * (number + 1) // workers
        ordered += [short.pop(0) for _ in range(min(len(short), max(0, ends - len(ordered))))]
    return ordered + short


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_test_environment: None,  # noqa: ARG001
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """Make this worker's database, and let transactional tests be emptied by its owner."""
    from django.db import connections  # noqa: PLC0415 - the settings are known only now
    from django.test import TransactionTestCase  # noqa: PLC0415
    from django.urls import get_resolver  # noqa: PLC0415

    _ = get_resolver().url_patterns  # now, or what a test patches stays in the forms that its first request imports
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        databases.create()
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _case: databases.empty())
        request.config.stash[DATABASE] = django_db_blocker
        yield
        request.config.stash[DATABASE] = None
        connections.close_all()
        databases.close()
        databases.drop(databases.here())


@pytest.fixture(scope="session")
def pages(
    django_db_setup: None,  # noqa: ARG001
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> "Corpus":
    """Return what each page of the console shows to each person, asked once a run."""
    from tests import corpus  # noqa: PLC0415 - the settings are known only now

    with django_db_blocker.unblock():
        return corpus.pages(_of_run(tmp_path_factory))


@pytest.fixture(scope="session")
def answers(
    django_db_setup: None,  # noqa: ARG001
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> "Corpus":
    """Return what each address of the API that can be read answers to each person, asked once a run."""
    from tests import corpus  # noqa: PLC0415 - as above

    with django_db_blocker.unblock():
        return corpus.answers(_of_run(tmp_path_factory))


def _of_run(made: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of this run share."""
    own = made.getbasetemp()
    return own.parent if databases.WORKER in os.environ else own


@pytest.fixture
def roles(db: None) -> databases.Addresses:  # noqa: ARG001
    """Return the addresses at which each database role connects, to test what it is refused."""
    return databases.addresses()


@pytest.fixture
def short_rsa_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make our own RSA keys of 2,048 bits: the usual ones take a second each."""
    monkeypatch.setattr("entitlements.signers.algorithms.RSA_BITS", 2048)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime | timedelta], datetime]:
    """Stop the clock: `at(moment)` sets it, `at(timedelta(hours=1))` moves it from where it stands."""
    from audit import clock  # noqa: PLC0415 - tests of the architecture run without the product

    standing = [clock.now()]

    def move(to: datetime | timedelta) -> datetime:
        standing[0] = standing[0] + to if isinstance(to, timedelta) else to
        return standing[0]

    monkeypatch.setattr(clock, "now", lambda: standing[0])
    return move


@pytest.fixture
def freeze(at: Callable[[datetime | timedelta], datetime]) -> datetime:
    """Stop the clock now, and return the moment."""
    return at(timedelta())
