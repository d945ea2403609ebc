"""The demo on this machine, where nothing is configured: `make demo` writes its address and tokens to `var/demo.json`.

It is used from a checkout alone, from a file that its owner alone can read, and for an address of this machine: what is
installed elsewhere has no such file, and nothing is ever sent to another machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from . import access
from .exits import Ended, Exit

CHECKOUT: Final = Path(__file__).resolve().parents[2]
USUAL: Final = "ana"
"""As whom the demo is used: its analyst."""
_MARK: Final = "scripts/demo/__main__.py"


@dataclass(frozen=True)
class Demo:
    """A demo that runs, and as whom it is used."""

    url: str
    login: str
    token: str
    others: tuple[str, ...]


def file(checkout: Path = CHECKOUT) -> Path | None:
    """Return where a demo of this checkout says what it is, if it runs."""
    written = access.demo_folder(checkout) / "demo.json"
    return written if (checkout / _MARK).is_file() and written.is_file() else None


def read(written: Path, login: str = "") -> Demo:
    """Read the file, and choose a person. Raises Ended."""
    try:
        world: dict[str, Any] = json.loads(access.private(written))
        url = access.checked(str(world["console"]))
        tokens = {name: str(person["api_token"]) for name, person in world["people"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Ended(Exit.USAGE, "demo_malformed", f"{written} is not what `make demo` writes.") from error
    if not access.is_of_this_machine(url):
        raise Ended(Exit.USAGE, "demo_elsewhere", f"{written} names another machine: set MANDATE_URL to go there.")
    if (chosen := login or USUAL) not in tokens:
        names = ", ".join(sorted(tokens))
        raise Ended(Exit.USAGE, "demo_person_unknown", f"The demo has no {chosen}; it has {names}.")
    return Demo(url, chosen, tokens[chosen], tuple(sorted(tokens)))
