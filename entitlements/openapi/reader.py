"""A whole document, as tools and refusals: nothing is guessed, and what cannot be mapped exactly is refused. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from entitlements.definitions import definitions, impressions
from entitlements.rest.build import Compiled
from entitlements.rest.operation import Method, of

from . import documents, operations, paths, schemas
from .errors import SENTENCES, DocumentMalformed, OperationRefused, Unsupported, Why
from .references import Document

MOST_OPERATIONS: Final = 2000
_VERSION: Final = re.compile(r"3\.([01])\.\d{1,3}(-[A-Za-z0-9.]{1,20})?")
_METHODS: Final = ("get", "head", "options", "post", "put", "patch", "delete", "trace", "query", "connect")
_LONGEST_ABOUT: Final = 200
_LONGEST_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation that no tool comes from: why (a stable word), and the part of it that is meant."""

    method: str
    path: str
    operation_id: str
    why: Why
    about: str = ""

    @property
    def sentence(self) -> str:
        """Why, for people."""
        sentence = SENTENCES[self.why]
        return f"{sentence.removesuffix('.')}: {self.about}" if self.about else sentence


@dataclass(frozen=True, slots=True)
class Renamed:
    """An operation whose tool is not called by its id; `was` is empty where it has none."""

    method: str
    path: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What a document says: tools in their order, refusals, renames, and the addresses it names.

    `address` is the one that its operations are below, empty where it names none, several, or one with variables.
    """

    title: str
    version: str
    sha256: str
    size: int
    address: str
    tools: tuple[dict[str, Any], ...]
    refused: tuple[Refused, ...]
    renamed: tuple[Renamed, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    method: str
    path: str
    operation_id: str
    definition: dict[str, Any]


def read(text: bytes, *, source: str = "", declared: Sequence[Mapping[str, Any]] = ()) -> Imported:
    """Read a document that came from the address `source`, or from a file.

    What people declared by hand stays: no tool takes the name or the place of one of `declared`. Each operation is a
    tool, or is refused with its reason. Raises DocumentMalformed.
    """
    root = documents.read(text)
    document = _document(root)
    found: list[_Found] = []
    refused: list[Refused] = []
    for method, path, item, operation in _operations(document, refused):
        named = operation.get("operationId", "") if isinstance(operation, Mapping) else ""
        operation_id = named if isinstance(named, str) else ""
        try:
            found.append(_Found(method, path, operation_id, operations.define(document, method, path, item, operation)))
        except Unsupported as why:
            refused.append(_refused(method, path, operation_id, why.why, why.about))
    places = {place(definition): str(definition["name"]) for definition in declared}
    tools, renamed = _named(_unambiguous(found, places, refused), frozenset(places.values()), refused)
    info = root["info"] if isinstance(root.get("info"), Mapping) else {}
    return Imported(
        title=_shown(info.get("title")),
        version=_shown(info.get("version")),
        sha256=hashlib.sha256(text).hexdigest(),
        size=len(text),
        address=_address(root, source),
        tools=tuple(tools),
        refused=tuple(refused),
        renamed=tuple(renamed),
    )


def declare(method: str, path: str, name: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tool of one operation that a person declares, in the words of OpenAPI 3.1. Raises OperationRefused.

    `operation` is an Operation Object; all that it needs is in it.
    """
    document = Document({}, is_30=False)
    try:
        definition = operations.define(document, method.lower(), path, {}, operation)
    except Unsupported as why:
        refused = _refused(method, path, name, why.why, why.about)
        raise OperationRefused(refused.sentence, why=why.why.value, about=refused.about) from why
    definition = {"name": name, **definition}
    if problem := _problem(definition):
        raise OperationRefused(f"{SENTENCES[Why.DEFINITION]} {problem}", why=Why.DEFINITION.value, about=problem)
    return definition


def _document(root: dict[str, Any]) -> Document:
    version = root.get("openapi")
    if "swagger" in root:
        raise DocumentMalformed("The document is of OpenAPI 2.0 (Swagger). Convert it to 3.0 or 3.1 first.")
    if not isinstance(version, str) or not (match := _VERSION.fullmatch(version)):
        raise DocumentMalformed("The document does not say that it is OpenAPI 3.0 or 3.1.")
    if not isinstance(root.get("paths", {}), Mapping):
        raise DocumentMalformed("The paths of the document are no object.")
    if "jsonSchemaDialect" in root and not schemas.is_dialect(root["jsonSchemaDialect"]):
        raise DocumentMalformed("The schemas of the document are in a dialect that is not JSON Schema 2020-12.")
    return Document(root, is_30=match[1] == "0")


def _operations(document: Document, refused: list[Refused]) -> list[tuple[str, str, Mapping[str, Any], object]]:
    """Return method, path, path item and operation of each; a path that cannot be read is refused as a whole."""
    listed: list[tuple[str, str, Mapping[str, Any], object]] = []
    for path, node in document.root.get("paths", {}).items():
        if path.startswith("x-"):
            continue
        try:
            item = document.resolve(node, "path")
        except Unsupported as why:
            refused.append(_refused("", path, "", why.why, why.about))
            continue
        listed += [(method, path, item, item[method]) for method in _METHODS if method in item]
        if len(listed) + len(refused) > MOST_OPERATIONS:
            raise DocumentMalformed("The document has too many operations.", most=MOST_OPERATIONS)
    return listed


def place(definition: Mapping[str, Any]) -> tuple[str, str]:
    """Return method and template of a tool's operation: of one system, no two tools have the same."""
    operation = of(definition)
    return operation.method.value, paths.template(operation.path)


def _unambiguous(found: list[_Found], places: Mapping[tuple[str, str], str], refused: list[Refused]) -> list[_Found]:
    """Leave out operations of one method at paths that differ in the names of their parameters alone."""
    addresses: dict[tuple[str, str], set[str]] = {}
    for each in found:
        addresses.setdefault((each.method, paths.template(each.path)), set()).add(each.path)
    left: list[_Found] = []
    for each in found:
        others = sorted(addresses[each.method, paths.template(each.path)] - {each.path})
        by_hand = places.get((each.method.upper(), paths.template(each.path)))
        others = [by_hand] if by_hand else others
        if others:
            refused.append(_refused(each.method, each.path, each.operation_id, Why.PATH_TWICE, others[0]))
        else:
            left.append(each)
    return left


def _named(
    found: list[_Found], taken: frozenset[str], refused: list[Refused]
) -> tuple[list[dict[str, Any]], list[Renamed]]:
    tools: list[dict[str, Any]] = []
    renamed: list[Renamed] = []
    chosen = paths.names([(each.operation_id, Method(each.method.upper()), each.path) for each in found], taken)
    for each, name in zip(found, chosen, strict=True):
        if not name:
            refused.append(_refused(each.method, each.path, each.operation_id, Why.NAME_CLASH))
            continue
        definition = {"name": name, **each.definition}
        if problem := _problem(definition):
            refused.append(_refused(each.method, each.path, each.operation_id, Why.DEFINITION, problem))
            continue
        tools.append(definition)
        if name != each.operation_id:
            renamed.append(Renamed(each.method.upper(), each.path, _shown(each.operation_id), name))
    return tools, renamed


def _problem(definition: dict[str, Any]) -> str:
    """Say why a definition is not usable as a tool's, in a sentence; empty when it is."""
    try:
        definitions.canonical(definitions.check(definition))
        Compiled(of(definition))
    except definitions.DefinitionMalformed as why:
        return why.message
    except ValueError as why:
        return str(why)
    return ""


def _address(root: Mapping[str, Any], source: str) -> str:
    """Return the one server's address, relative to where the document came from (OpenAPI 3.1 section 4.8.5)."""
    servers = root.get("servers")
    if not isinstance(servers, list) or len(servers) != 1 or not isinstance(servers[0], Mapping):
        return ""
    named = servers[0].get("url")
    if not isinstance(named, str) or "{" in named or servers[0].get("variables") or not named.isascii():
        return ""
    try:
        whole = urljoin(source, named) if source else named
        parts = urlsplit(whole)
    except ValueError:
        return ""
    is_plain = parts.scheme in ("https", "http") and parts.hostname and not parts.query and not parts.fragment
    return whole.rstrip("/") if is_plain and len(whole) <= _LONGEST_TEXT * 2 else ""


def _refused(method: str, path: str, operation_id: str, why: Why, about: str = "") -> Refused:
    """Make a refusal in which every text of the document can be shown."""
    shown = impressions.visible(about[:_LONGEST_ABOUT])[:_LONGEST_ABOUT]
    return Refused(_shown(method.upper()), _shown(path), _shown(operation_id), why, shown)


def _shown(text: object) -> str:
    return impressions.visible(text[:_LONGEST_TEXT])[:_LONGEST_TEXT] if isinstance(text, str) else ""


def count_by_reason(refused: Iterable[Refused]) -> list[tuple[str, int]]:
    """Count refusals by reason, most frequent first."""
    return Counter(each.why.value for each in refused).most_common()
