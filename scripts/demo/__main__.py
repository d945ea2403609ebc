"""The whole product on this machine, with the main job played by the official MCP client: `make demo`.

    python -m scripts.demo [--once] [--fresh] [--stop] [--system SLUG=URL ...] [--nodes N] [--fleet N]

Sets up a private PostgreSQL and Valkey, starts the console, and behind it every other process; fills the world
(`scripts/demo/data/seed.py`), plays the story (`scripts/demo/story/play.py`), writes `var/demo.json`
(`scripts/demo/data/world.py`) and stays up for the visitor. `scripts/demo/site` adds cards to sign in with and a strip
of steps. What does not hold is named, and the rest goes on. `--once` ends after the story, with a status other than
zero then. A world that is ended is kept (`scripts/demo/kept.py`) and taken up at the next start, unless `--once` or
`--fresh` asks for a new one. CONSOLE_PORT, GATEWAY_PORT and SAMPLE_PORT move the ports, DEMO_FOLDER moves `var/`; logs
are in `var/log/`.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from scripts import devstack
from scripts.demo import kept
from scripts.demo.data import world
from scripts.demo.progress import part
from scripts.demo.servers import layout as places
from scripts.demo.servers import packages
from scripts.demo.servers.processes import DemoError, PidFile, Process, Supervisor, end_leftovers
from scripts.devprograms import StackError
from scripts.devservers import until

VAR = places.VAR
RUN = VAR / "run"
PID_FILE = PidFile(VAR / "demo.pid")
OUT = VAR / "demo.json"
STOP_SECONDS = 600.0
FEWEST, MOST = 20, 900_000
"""How many agents a fleet may have (`scripts/demo/data/fleet.py`)."""
LOOPBACK_URL = re.compile(r"([a-z][a-z0-9-]{0,62})=(http://(?:localhost|127\.0\.0\.1)(?::\d+)?/\S*)")


def main(arguments: list[str]) -> int:
    """Read the command line and run; the return value is the exit status."""
    options = parse(arguments)
    VAR.mkdir(parents=True, exist_ok=True)
    if options.stop:
        return stop()
    if (pid := PID_FILE.running()) is not None:
        return complain(f"A demo runs already (process {pid}); end it with: make demo ARGS=--stop")
    if left := end_leftovers(RUN):
        print(f"Ended what an earlier demo left running: {', '.join(left)}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    PID_FILE.claim()
    OUT.unlink(missing_ok=True)
    try:
        return run(options)
    except (DemoError, StackError) as problem:
        return complain(str(problem))
    except KeyboardInterrupt:
        return 130
    finally:
        OUT.unlink(missing_ok=True)
        shutil.rmtree(RUN, ignore_errors=True)
        PID_FILE.release()


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options; what is not built yet is refused in words."""
    parser = argparse.ArgumentParser(prog="demo", description="The whole product on this machine.")
    parser.add_argument("--once", action="store_true", help="play the story and exit; the status says whether it held")
    parser.add_argument("--fresh", action="store_true", help="make a new world, although an earlier one is kept")
    parser.add_argument("--stop", action="store_true", help="end a demo left running")
    parser.add_argument("--system", action="append", default=[], type=extra_system, metavar="SLUG=URL", dest="systems")
    parser.add_argument("--nodes", type=int, default=1, choices=range(1, 10), metavar="N", help="gateway nodes")
    parser.add_argument("--tls", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--fleet", type=fleet_size, metavar="N", help="add N agents with ten grants each, and their use"
    )
    options = parser.parse_args(arguments)
    if options.tls:
        parser.error("--tls is not available yet")
    if set(dict(options.systems)) & set(places.SAMPLES):
        parser.error(f"the names {', '.join(places.SAMPLES)} are taken by the demo's own systems")
    return options


def extra_system(text: str) -> tuple[str, str]:
    """Read SLUG=URL; only loopback addresses are registered this way."""
    if not (match := LOOPBACK_URL.fullmatch(text)):
        message = f"{text!r} is not SLUG=http://localhost:PORT/PATH"
        raise argparse.ArgumentTypeError(message)
    return match[1], match[2]


def fleet_size(text: str) -> int:
    """Read how many agents a fleet shall have."""
    if not text.isdecimal() or not FEWEST <= (count := int(text)) <= MOST:
        message = f"{text!r} is not a number from {FEWEST} to {MOST}"
        raise argparse.ArgumentTypeError(message)
    return count


def run(options: argparse.Namespace) -> int:
    """Set up, start, fill, play; then stay until a signal comes, unless asked to end."""
    layout = places.Layout.from_environment(options.nodes)
    layout.check_ports()
    shutil.rmtree(RUN, ignore_errors=True)
    RUN.mkdir(mode=0o700)
    world_kept = kept.Kept(VAR / "kept", (layout, options.systems, options.fleet))
    earlier = None if options.once or options.fresh else world_kept.read()
    if earlier:
        at = time.strftime("%d %B, %H:%M", time.localtime(earlier["made"]))
        print(f"The world of {at} is taken up again; ARGS=--fresh makes a new one.", flush=True)
        world_kept.bring(RUN)
    else:
        make_repository(RUN / "repository")
    with part("Packing the local servers"):
        made = packages.make(RUN, RUN / "repository", earlier["resources"]["packages"] if earlier else None)
    if lacking := packages.lacking():
        print(f"This machine does not hold local servers whole: {', '.join(lacking)}. Two administrators accept that.")
    with part("Starting PostgreSQL and Valkey"):
        stack = devstack.Stack(kept=world_kept.cluster if earlier else None)
    is_whole = False
    try:
        supervisor = Supervisor(RUN, VAR / "log", {})
        try:
            if earlier:
                resources = take_up(earlier, world_kept, stack, made)
            else:
                resources = resources_for(layout, dict(options.systems), made)
            supervisor.environment = places.settings(layout, stack, RUN)
            failed = present(supervisor, layout, resources, options, is_filled=bool(earlier))
            if options.once:
                return 1 if failed else 0
            is_whole = not failed and hasattr(stack, "postgres")
            stay(supervisor, layout)
        finally:
            _finish_undisturbed()
            with part("Ending every process"):
                supervisor.stop()
            if is_whole:
                with part("Keeping this world for the next start"):
                    world_kept.store(stack, RUN, resources, earlier["made"] if earlier else time.time())
    finally:
        _finish_undisturbed()
        stack.close()
        shutil.rmtree(made.folder, ignore_errors=True)


def present(
    supervisor: Supervisor,
    layout: places.Layout,
    resources: dict[str, Any],
    options: argparse.Namespace,
    *,
    is_filled: bool,
) -> list[str]:
    """Bring the world up, publish it, and name what does not hold."""
    began = time.monotonic()
    failed = set_up(supervisor, layout, resources, is_filled=is_filled)
    if not is_filled:
        failed += play(supervisor, resources, options)
    if (told := Path(resources["out"])).exists():
        world.write(world.read(told), OUT)
    print(f"All of it took {time.monotonic() - began:.0f} s.")
    for what in failed:
        print(f"DOES NOT HOLD: {what}", flush=True)
    return failed


def take_up(
    earlier: Mapping[str, Any], world_kept: kept.Kept, stack: devstack.Stack, made: packages.Packages
) -> dict[str, Any]:
    """Return the resources of an earlier world, now that its cluster runs again elsewhere. Raises DemoError."""
    resources: dict[str, Any] = earlier["resources"]
    if not world_kept.cluster.exists() or resources["samples"] != made.samples or not hasattr(stack, "postgres"):
        world_kept.forget()
        raise DemoError("The world of the earlier start does not fit this machine any more. Start again for a new one.")
    stack.update(earlier["keys"])
    told = world.read(Path(resources["out"]))
    told["database_url"], told["owner_database_url"] = stack["DATABASE_URL"], stack["MIGRATE_DATABASE_URL"]
    told["redis_url"] = stack["REDIS_URL"]
    world.write(told, Path(resources["out"]))
    return resources


def set_up(supervisor: Supervisor, layout: places.Layout, resources: dict[str, Any], *, is_filled: bool) -> list[str]:
    """Start everything and fill the world: the console first, as soon as its people can sign in; return what failed.

    Raises DemoError where there is no console to look at.
    """
    began = time.monotonic()
    environment = {"DEMO_WORLD": json.dumps(resources)}
    seed = Process("seed", [sys.executable, "-m", "scripts.demo.data.seed"], environment=environment, ends=True)
    web, *others = places.product(layout)
    with part("Starting the console" if is_filled else "Creating the tables and starting the console"):
        office = places.office(layout, resources["office"]["secret"], has_drifted=is_filled)
        for process in (*([] if is_filled else [seed]), web, places.stub_idp(layout), office):
            supervisor.start(process)
        if not is_filled:
            supervisor.wait_until_written(seed.name, Path(resources["tables"]))
            supervisor.wait_until_written(seed.name, Path(resources["cast"]))
        supervisor.wait_until_ready(web.name)
    print(f"\nThe console is at {layout.console}: sign in there by card.")
    print("Ctrl-C ends the demo." if is_filled else "Behind it the company is filled and the main job is played.\n")
    failed = attempt("Starting gateway, sealer and worker", lambda: _start(supervisor, others))
    if not is_filled:
        what = "Filling the world: fourteen months of people, agents, systems and calls"
        failed += attempt(what, lambda: supervisor.join(seed.name))
        print(f"The world was filled {time.monotonic() - began:.0f} s after its start.", flush=True)
    return failed


def _start(supervisor: Supervisor, processes: Iterable[Process]) -> None:
    for process in processes:
        supervisor.start(process)
    supervisor.wait_until_ready()


def attempt(what: str, work: Callable[[], None]) -> list[str]:
    """Do one part; return what to tell where it does not hold, and let the others go on."""
    try:
        with part(what):
            work()
    except DemoError as problem:
        return [f"{what}: {problem}"]
    return []


def resources_for(layout: places.Layout, systems: dict[str, str], made: packages.Packages) -> dict[str, Any]:
    """Return the resources around the product that seed and story use: servers, secrets, folders.

    The repository is named as the git server sees it: below the scratch folder, where each child has a copy of it.
    """
    return {
        "samples": made.samples,
        "packages": str(made.folder),
        "lacking": packages.lacking(),
        "office": {"url": layout.office, "secret": secrets.token_urlsafe(32)},
        "systems": systems,
        "repository": "repository",
        "stub_issuer": layout.stub_issuer,
        "nodes": layout.nodes,
        "record": {"anchor": str(places.anchor(RUN)), "key": str(places.verifier_key(RUN))},
        **{name: str(RUN / name) for name in ("tables", "cast")},
        "logs": str(VAR / "log"),
        "out": str(RUN / "world.json"),
    }


def play(supervisor: Supervisor, resources: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """Play the story in a process of its own, and what comes after it; return what does not hold."""
    told = Path(resources["out"])
    if not told.exists():
        return ["The story was not played: the world is not filled."]
    failed = []
    print("Playing the main job with the official MCP client:", flush=True)
    began = time.monotonic()
    story = [sys.executable, "-m", "scripts.demo.story.play", str(told)]
    status = subprocess.run(story, check=False, env={**os.environ, "DEMO_WORLD": json.dumps(resources)}).returncode
    print(f"The main job took {time.monotonic() - began:.1f} s.", flush=True)
    if status:
        failed.append(f"The story (status {status}); what is named above, and the logs in {VAR / 'log'}, say why.")
    inventory = Process("inventory", [sys.executable, "-m", "scripts.demo.data.inventory"])
    parts = [
        ("Computing the figures of the inventory", inventory),
        ("Checking what must always be true", places.manage("invariants")),
    ]
    if options.fleet:
        fleet = Process("fleet", [sys.executable, "-m", "scripts.demo.data.fleet", str(options.fleet)])
        parts.insert(0, (f"Adding a fleet of {options.fleet:,} agents", fleet))
    for what, process in parts:
        failed += attempt(what, functools.partial(supervisor.finish, process))
    return failed


def stay(supervisor: Supervisor, layout: places.Layout) -> NoReturn:
    """Wait while the visitor looks around; what ends is told and started again."""
    print(f"\nThe console is at {layout.console}: sign in there by card, and follow the strip. Ctrl-C ends the demo.")
    print("On the command line: .venv/bin/mandate (or scripts/mandate) finds this demo; it acts as ana.")
    print(f"What else there is to know of this world, passwords and tokens too, is in {OUT}.", flush=True)
    while True:
        for told in supervisor.revive():
            print(f"{told}\nIt is started again.", flush=True)
        time.sleep(5)


def make_repository(folder: Path) -> None:
    """Make the git repository that the sample git server serves."""
    folder.mkdir()
    (folder / "README.md").write_text("# Expense reports\n\nWhat the demo's agents read and change.\n")
    identity = ["-c", "user.name=Mandate demo", "-c", "user.email=demo@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "Begin."]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def stop() -> int:
    """End the demo that runs, and what a killed one left; done when nothing of it runs any more."""
    if (pid := PID_FILE.running()) is not None:
        os.kill(pid, signal.SIGTERM)
        if not until(lambda: PID_FILE.running() is None, STOP_SECONDS):
            return complain(f"The demo (process {pid}) does not end.")
        print("The demo has ended.")
    elif left := end_leftovers(RUN):
        print(f"Ended what a killed demo left running: {', '.join(left)}")
    else:
        print("No demo runs.")
    return 0


def complain(message: str) -> int:
    """Tell the person why it did not work; return the exit status."""
    print(message, file=sys.stderr)
    return 1


def _finish_undisturbed() -> None:
    """Let no second signal cut the clean-up short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
