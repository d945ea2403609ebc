"""Write what the command line knows of the API: one line an operation, from the OpenAPI document.

    python -m scripts.commandindex        (after the document; `make reference` does both)

A test compares what is committed with what this makes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from governance.cli import operations

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs" / "reference" / "openapi.yaml"
INDEX: Final = ROOT / "governance" / "cli" / "operations.json"
_ROOT_PATH: Final = "/api/v1/"
_PAGING: Final = frozenset({"cursor", "limit"})
_MOST_COLUMNS: Final = 6
_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "requests": ("id", "etag", "state", "agent", "entitlement", "risk", "lasts", "requested_by"),
    "grants": ("id", "state", "agent", "entitlement", "people", "expires_at"),
    "agents": ("slug", "status", "kind", "sponsor", "owner"),
    "systems": ("slug", "status", "kind", "owner", "upstream_url"),
    "audit-events": ("at", "actor", "action", "outcome", "code", "reason"),
    "campaigns": ("slug", "name", "state", "due_at", "owner"),
    "review-items": ("id", "campaign", "agent", "system", "risk", "state", "reviewer"),
    "people": ("login", "name", "manager", "is_active", "roles"),
    "exceptions": ("kind", "what", "agent", "owner", "expires_at", "state"),
    "sessions": ("id", "agent", "person", "client", "started_at", "ended_at"),
}
"""The columns of lists whose first columns are not the ones that people want."""
_OWN_VERBS: Final = {
    ("POST", "requests"): "submit",
    ("POST", "notices/read"): "read-all",
    ("POST", "campaigns/{key}/activate"): "launch",
    ("POST", "campaigns/{key}/submissions"): "submit",
}
"""The verbs that do not follow from method and address."""
_NAMES: Final = {name: short for short, names in operations.ALIASES.items() for name in names}
_VERBS: Final = {"GET": "show", "POST": "create", "PATCH": "edit", "PUT": "set"}


def document() -> dict[str, Any]:
    """Return the OpenAPI document as it is committed."""
    read: dict[str, Any] = yaml.load(DOCUMENT.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return read


def text(document: Mapping[str, Any]) -> str:
    """Return the index of a document: a JSON list, one command a line, with what it does to one thing and to several.

    Where an address takes several agents at once, that of a single one is left out.
    """
    paths = {path.removeprefix(_ROOT_PATH): item for path, item in document["paths"].items()}
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for path, item in paths.items():
        for method, operation in item.items():
            read = _Reading(document, path, method.upper(), operation)
            if f"bulk/{read.resource}/{read.verb}" not in paths or path.startswith("bulk/"):
                line = read.line(is_read_too="get" in item)
                place = lines.setdefault((line["resource"], line["verb"]), {})
                place |= {**line, **place} if "bulk" in line else line
    return "[\n" + ",\n".join(json.dumps(line) for _, line in sorted(lines.items())) + "\n]\n"


class _Reading:
    """One operation, as the document describes it."""

    def __init__(self, document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> None:
        self.schemas = document["components"]["schemas"]
        self.path, self.method, self.operation = path, method, operation
        words = [re.sub(r"^{\w+}\.?", "", part) for part in path.removeprefix("bulk/").split("/")]
        self.resource, *rest = _NAMES.get(words[0], words[0]), *words[1:]
        self.verb = _OWN_VERBS.get((method, path)) or "-".join(filter(None, rest))
        self.parameters = operation.get("parameters", [])

    def line(self, *, is_read_too: bool) -> dict[str, Any]:
        """Return the command's line. What is empty or false is left out."""
        query = {each["name"]: each.get("schema", {}) for each in self.parameters if each["in"] == "query"}
        body = self._resolved(self._content(self.operation.get("requestBody", {})))
        fields = dict(body.get("properties", {})) if self.method != "GET" else query
        rows = self._resolved(fields.pop("items", {}).get("items", {})) if "{" not in self.path else {}
        answer = self._answer()
        verb = self.verb or ("list" if answer.get("columns") and self.method == "GET" else _VERBS[self.method])
        if self.verb and self.method == "POST" and is_read_too and "/" in self.path:
            verb = f"add-{verb}"
        names = {
            "resource": self.resource,
            "verb": verb,
            "help": f"{self.operation['summary']}.",
            "group": self.operation["tags"][0],
        }
        options = {name: self._kind(field) for name, field in fields.items() if name not in _PAGING}
        if rows:
            items = sorted(rows["properties"], key=lambda name: (name not in rows["required"], name))
            return {**names, "bulk": self.path, "items": items, "bulk_options": options}
        line = {
            "method": self.method,
            "path": self.path,
            "options": options,
            "required": sorted({*body.get("required", [])} & {*fields}),
            "has_etag": any(each["name"] == "If-Match" for each in self.parameters),
            "is_paged": "cursor" in query,
            **answer,
        }
        return {**names, **{name: value for name, value in line.items() if value}}

    def _answer(self) -> dict[str, Any]:
        """Return the columns of a list, or the media type of what is not JSON."""
        succeeded = next(answer for status, answer in self.operation["responses"].items() if status != "default")
        content = succeeded.get("content", {})
        if content and "application/json" not in content:
            return {"media": next(iter(content))}
        page = self._resolved(self._content(succeeded)).get("properties", {})
        row = self._resolved(page.get("results", {}).get("items", {}))
        columns = [name for name, field in row.get("properties", {}).items() if self._kind(field) != "json"]
        return {"columns": _COLUMNS.get(self.path, columns[:_MOST_COLUMNS])}

    def _kind(self, field: Mapping[str, Any]) -> str:
        """Return how a field is written on the command line."""
        field = self._resolved(field)
        if field.get("writeOnly"):
            return "secret"
        kinds = field.get("type", "string" if "oneOf" in field else "object")
        kind = kinds if isinstance(kinds, str) else next(each for each in kinds if each != "null")
        if kind == "array":
            inner = str(self._resolved(field["items"]).get("type"))
            return {"string": "strings", "integer": "integers"}.get(inner, "json")
        return {"object": "json", "number": "json"}.get(kind, kind)

    def _content(self, holder: Mapping[str, Any]) -> Mapping[str, Any]:
        schema: Mapping[str, Any] = holder.get("content", {}).get("application/json", {}).get("schema", {})
        return schema

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]]
        return schema


if __name__ == "__main__":
    INDEX.write_text(text(document()), encoding="utf-8")
