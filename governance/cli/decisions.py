"""Decide review items: the draft of each is saved, then those drafts alone are submitted."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import defaultdict
from typing import Any, Final
from urllib.parse import quote

from . import output
from .exits import Ended, Exit
from .server import Server

VERBS: Final = {
    "certify": "Keep the access of review items.",
    "reduce": "Keep some tools of a review item, and remove the others.",
    "revoke": "Revoke the access of review items.",
    "abstain": "Pass review items on that you cannot decide.",
}
"""What a reviewer decides, with a sentence."""
_REASONS: Final = {
    "certify": "business_need, seasonal, break_glass, mandated",
    "abstain": "not_mine, dont_understand, conflict, need_info",
}
_REDUCTIONS: Final = "unused, wrong_scope, not_appropriate, owner_gone, project_ended, duplicate, risk, drifted"
_COLUMNS: Final = ("item", "verb", "decision")


def describe(parser: ArgumentParser, verb: str) -> None:
    """Add the options of a verb."""
    parser.add_argument("keys", nargs="+", metavar="ID", help="the review items, by their ids")
    reasons = _REASONS.get(verb, _REDUCTIONS)
    parser.add_argument("--reason-code", dest="reason_code", required=True, metavar="CODE", help=reasons)
    parser.add_argument("--comment", default="", metavar="TEXT", help="why, in your own words")
    if verb == "reduce":
        parser.add_argument("--keep", action="append", required=True, metavar="TOOL", help="may be repeated")
    parser.add_argument("--draft", action="store_true", help="save the draft only; `mandate reviews submit` decides")
    parser.set_defaults(verb=verb, keep=None)


def decide(server: Server, arguments: Namespace) -> Exit:
    """Draft the decision of each item, submit those drafts of each campaign, and print what was decided."""
    items = [server.get(_path(key)) for key in arguments.keys]
    bodies = [_body(item, arguments) for item in items]  # a name that does not fit is found before anything is sent
    campaigns: dict[str, list[str]] = defaultdict(list)
    for item, body in zip(items, bodies, strict=True):
        etag = item["draft"]["etag"] if item["draft"] else '"0"'
        server.change("PUT", _path(item["id"]) + "/draft", body, etag=etag)
        campaigns[item["campaign"]].append(item["id"])
    if arguments.draft:
        rows = [{"item": item["id"], "verb": arguments.verb, "decision": None} for item in items]
        output.table(rows, _COLUMNS, as_json=arguments.json)
        return Exit.DONE
    decided: list[dict[str, Any]] = []
    for slug, ids in campaigns.items():
        path = f"campaigns/{quote(slug, safe='')}/submissions"
        decided += server.change("POST", path, {"only": ids})["decided"]
    output.table(decided, _COLUMNS, as_json=arguments.json)
    return Exit.DONE if len(decided) == len(items) else Exit.PARTIAL


def _body(item: dict[str, Any], arguments: Namespace) -> dict[str, Any]:
    lines = {line["tool"]: line["id"] for line in item["lines"]}
    if unknown := [tool for tool in arguments.keep or [] if tool not in lines]:
        sentence = f"The item has no tool {', '.join(unknown)}; it has {', '.join(lines)}."
        raise Ended(Exit.USAGE, "tool_unknown", sentence)
    return {
        "verb": arguments.verb,
        "reason_code": arguments.reason_code,
        "comment": arguments.comment,
        "kept": [lines[tool] for tool in arguments.keep or []],
    }


def _path(key: str) -> str:
    return f"review-items/{quote(key, safe='')}"
