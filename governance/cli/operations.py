"""What the API can do, as verbs of resources: an index that `make reference` writes from the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final
from urllib.parse import quote

_KEY = re.compile(r"{\w+}")
ALIASES: Final = {"reviews": ["campaigns"], "items": ["review-items"], "audit": ["audit-events"]}
"""Resources that have a short name here, and by which the API calls them."""


@dataclass(frozen=True)
class Operation:
    """What a verb does at `path`, and at `bulk` to several things at once; one of the two may be missing.

    `options` are the query of a GET, else the fields of the body, with their kinds. `items` are the fields of each of
    several things. `media` is what comes back where it is not JSON, `group` the capability that it belongs to.
    """

    resource: str
    verb: str
    help: str
    method: str = "POST"
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    required: Sequence[str] = ()
    has_etag: bool = False
    is_paged: bool = False
    media: str = ""
    columns: Sequence[str] = ()
    bulk: str = ""
    bulk_options: Mapping[str, str] = field(default_factory=dict)
    items: Sequence[str] = ()
    group: str = ""

    @property
    def keys(self) -> list[str]:
        """The parts of the path that name a thing."""
        return _KEY.findall(self.path)

    def at(self, keys: Sequence[str]) -> str:
        """Return the path to the thing that the keys name."""
        rest = iter(keys)
        return _KEY.sub(lambda _: quote(next(rest), safe=""), self.path)


def resources() -> dict[str, dict[str, Operation]]:
    """Return the verbs of every resource."""
    verbs: dict[str, dict[str, Operation]] = defaultdict(dict)
    for line in json.loads(files(__package__).joinpath("operations.json").read_text(encoding="utf-8")):
        verbs[line["resource"]][line["verb"]] = Operation(**line)
    return verbs
