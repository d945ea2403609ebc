"""Files of systems and tools, read into offers: lists (JSON, or one system a line) and configurations of MCP clients.

Everything in a file was written by strangers. Each row is judged alone: a good one becomes an offer, a bad one a
problem with a stable code. What may be a secret is left out before anything is kept: environment blocks, headers,
arguments of commands, and the query and user name of an address.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from entitlements import strict
from entitlements.definitions import definitions, impressions
from entitlements.errors import DomainError
from entitlements.words import ALL_SYSTEMS

LARGEST: Final = 8 * 1024 * 1024
MOST_SYSTEMS: Final = 5000
MOST_TOOLS: Final = 50_000
MOST_TOOLS_OF_ONE: Final = 2000
MOST_PROBLEMS: Final = 500
_LARGEST_WITH_COMMENTS: Final = 256 * 1024
_LONGEST_SLUG: Final = 63
_LONGEST_NAME: Final = 200
_LONGEST_ADDRESS: Final = 500
_NAMES: Final = ("slug", "package", "name")
_ADDRESSES: Final = ("url", "serverUrl", "httpUrl", "upstream_url")
_SECRETIVE: Final = ("env", "envFile", "headers", "args", "inputs", "requestInit", "oauth")
_PLAIN: Final = re.compile(r"https://[!-~]+")
_KEY: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_=~.-]{24,}")
_COMMENT: Final = re.compile(r'("(?:\\.|[^"\\])*(?:"|\Z))|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_LAST_COMMA: Final = re.compile(r'("(?:\\.|[^"\\])*(?:"|\Z))|,(?=\s*[}\]])', re.DOTALL)


class NotACatalog(DomainError):
    """The file is not a catalogue: it must be a list of systems or the configuration of an MCP client."""

    code, status = "import_not_a_catalog", HTTPStatus.UNPROCESSABLE_ENTITY


class TooMuch(DomainError):
    """The file is too large for one import. Split it."""

    code, status = "import_too_large", HTTPStatus.UNPROCESSABLE_ENTITY


class Form(StrEnum):
    """What kind of file it is."""

    LIST = "list"
    LINES = "lines"
    CLIENT = "client_configuration"


@dataclass(frozen=True, slots=True)
class Problem:
    """What was wrong with one row, or left out of it. `refused` says whether the row stays out."""

    row: int
    system: str
    tool: str
    code: str
    message: str
    refused: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON, with everything that hides made visible."""
        names = {"system": impressions.visible(self.system)[:120], "tool": impressions.visible(self.tool)[:128]}
        return {"row": self.row, **names, "code": self.code, "message": self.message, "refused": self.refused}


@dataclass(slots=True)
class Offer:
    """One system of a file: its name for machines and for people, its address if it has one, its tools with hashes."""

    row: int
    slug: str
    name: str
    address: str
    tools: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@dataclass(slots=True)
class Catalog:
    """What a file holds."""

    form: Form
    offers: list[Offer] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, row: int, code: str, message: str, *, system: str = "", tool: str = "") -> None:
        """Leave a row out, and say why."""
        self.problems.append(Problem(row, system, tool, code, message, refused=True))

    def note(self, row: int, code: str, message: str, *, system: str) -> None:
        """Say what was left out of a row that goes in."""
        self.problems.append(Problem(row, system, "", code, message, refused=False))


def read(content: bytes) -> Catalog:
    """Read a file into offers and problems. Raises NotACatalog, TooMuch, and strict.NotStrictJson for no JSON."""
    if len(content) > LARGEST:
        raise TooMuch(largest=LARGEST)
    form, rows = _rows(content.removeprefix(b"\xef\xbb\xbf"))
    catalogue = Catalog(form)
    taken = {ALL_SYSTEMS}
    names: set[str] = set()
    tools = 0
    for row, named, raw in rows:
        if row > MOST_SYSTEMS:
            raise TooMuch("The file lists too many systems.", most=MOST_SYSTEMS)
        offer = _offer(catalogue, row, named, raw)
        if offer is None:
            continue
        if named in names:
            catalogue.refuse(
                row, "system_twice", "The file names this system twice; the first one counts.", system=named
            )
            continue
        if offer.slug in taken:  # another name that comes out the same
            offer.slug = _marked(offer.slug, named)
        names.add(named)
        taken.add(offer.slug)
        tools += len(offer.tools)
        if tools > MOST_TOOLS:
            raise TooMuch("The file lists too many tools.", most=MOST_TOOLS)
        catalogue.offers.append(offer)
    return catalogue


def slug_of(name: str) -> str:
    """Make a system's name of whatever the file calls it; always the same, and empty when nothing is left."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return slug if len(slug) <= _LONGEST_SLUG else _marked(slug, name)


def _marked(slug: str, name: str) -> str:
    return f"{slug[: _LONGEST_SLUG - 9].strip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


# Which form


type _Rows = Iterator[tuple[int, str, object]]


def _rows(content: bytes) -> tuple[Form, _Rows]:
    try:
        value = strict.loads(content, largest=LARGEST)
    except strict.NotStrictJson:
        if _is_lines(content):
            return Form.LINES, _of_lines(content)
        value = _with_comments(content)
    if isinstance(value, list):
        return Form.LIST, _of_list(value)
    if not isinstance(value, dict):
        raise NotACatalog
    nested = value.get("mcp")
    servers = nested.get("servers") if isinstance(nested, dict) else None
    for section in (value.get("mcpServers"), value.get("servers"), value.get("context_servers"), servers):
        if isinstance(section, dict):
            return Form.CLIENT, ((row, name, raw) for row, (name, raw) in enumerate(section.items(), 1))
    for section in (value.get("systems"), value.get("servers")):
        if isinstance(section, list):
            return Form.LIST, _of_list(section)
    if isinstance(value.get("tools"), list):
        return Form.LINES, _of_list([value])
    raise NotACatalog


def _of_list(listed: list[Any]) -> _Rows:
    for row, raw in enumerate(listed, 1):
        yield row, _named(raw), raw


def _named(raw: object) -> str:
    name = next((raw[key] for key in _NAMES if isinstance(raw.get(key), str)), "") if isinstance(raw, dict) else ""
    return str(name)


def _is_lines(content: bytes) -> bool:
    first = content.lstrip().split(b"\n", 1)[0]
    try:
        return isinstance(strict.loads(first), dict)
    except strict.NotStrictJson:
        return False


def _of_lines(content: bytes) -> _Rows:
    for row, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            raw: object = strict.loads(line)
        except strict.NotStrictJson as why:
            raw = why
        yield row, _named(raw), raw


def _with_comments(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON as editors write it, with comments and last commas; small files alone. Raises NotStrictJson."""
    if len(content) > _LARGEST_WITH_COMMENTS:
        raise strict.NotStrictJson("The file is not well-formed JSON in UTF-8.")
    try:
        text = content.decode()
    except UnicodeDecodeError as why:
        raise strict.NotStrictJson("The file is not UTF-8.") from why
    bare = _LAST_COMMA.sub(lambda met: met[1] or "", _COMMENT.sub(lambda met: met[1] or " ", text))
    return strict.loads(bare.encode())


# One row


def _offer(catalogue: Catalog, row: int, named: str, raw: object) -> Offer | None:
    if isinstance(raw, strict.NotStrictJson):
        catalogue.refuse(row, "row_not_json", raw.message)
        return None
    if not isinstance(raw, dict):
        catalogue.refuse(row, "row_malformed", "A system is an object.", system=named)
        return None
    slug = slug_of(named)
    if not slug:
        catalogue.refuse(row, "system_name_unusable", "The system has no name with letters or digits.", system=named)
        return None
    title = raw.get("title")
    display_name = impressions.visible((title if isinstance(title, str) else "").strip() or named)[:_LONGEST_NAME]
    offer = Offer(row, slug, display_name, _address(catalogue, row, named, raw))
    if dropped := [key for key in _SECRETIVE if isinstance(raw.get(key), dict | list | str)]:
        text = f"Left out, since secrets may be in them: {', '.join(dropped)}."
        catalogue.note(row, "secrets_dropped", text, system=named)
    listed = raw.get("tools")
    if isinstance(listed, list):
        _take_tools(catalogue, offer, named, listed)
    elif listed is not None:
        catalogue.refuse(row, "row_malformed", "The tools of a system are a list.", system=named)
    return offer


def _address(catalogue: Catalog, row: int, named: str, raw: Mapping[str, Any]) -> str:
    """Return where the system listens, without what may be secret; empty when it has no address that can be used."""
    address = next((raw[key] for key in _ADDRESSES if isinstance(raw.get(key), str)), "").strip()
    if not address:
        return ""
    parts = _parts(address)
    if parts is None:
        text = "Its address is not one that a gateway could reach over https; kept as known, not governed."
        catalogue.note(row, "address_unusable", text, system=named)
        return ""
    if any(_KEY.fullmatch(step) for step in parts.path.split("/")):
        text = "Left out, since a key may be part of it: its address. Kept as known, not governed."
        catalogue.note(row, "secrets_dropped", text, system=named)
        return ""
    if parts.username or parts.password or parts.query or parts.fragment:
        text = "Left out of its address, since secrets may be in them: user name, query and fragment."
        catalogue.note(row, "secrets_dropped", text, system=named)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _parts(written: str) -> SplitResult | None:
    """Take an address apart that is plain and https; None for any other."""
    if len(written) > _LONGEST_ADDRESS or not _PLAIN.fullmatch(written) or "${" in written:
        return None
    try:
        parts = urlsplit(written)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _take_tools(catalogue: Catalog, offer: Offer, named: str, listed: list[Any]) -> None:
    if len(listed) > MOST_TOOLS_OF_ONE:
        text = f"The system lists more than {MOST_TOOLS_OF_ONE} tools; none is taken in."
        catalogue.refuse(offer.row, "too_many_tools", text, system=named)
        return
    taken: set[str] = set()
    for raw in listed:
        name = str(raw.get("name", "")) if isinstance(raw, dict) else ""
        if not strict.is_storable(raw):
            catalogue.refuse(offer.row, "text_unusable", "A text holds the character NUL.", system=named, tool=name)
            continue
        try:
            definition = definitions.check(_definition(raw))
            digest = definitions.digest(definition)
        except definitions.DefinitionMalformed as why:
            catalogue.refuse(offer.row, str(why.code), why.message, system=named, tool=name)
            continue
        if name in taken:
            text = "The file names this tool twice; the first one counts."
            catalogue.refuse(offer.row, "tool_twice", text, system=named, tool=name)
        else:
            taken.add(name)
            offer.tools.append((digest, definition))


def _definition(raw: object) -> object:
    """Return a tool as its server would list it. Where a file only names arguments, they become a schema."""
    if not isinstance(raw, dict) or isinstance(raw.get("inputSchema"), dict):
        return raw
    kept = {key: value for key, value in raw.items() if key not in ("arguments", "inputSchema")}
    listed = raw.get("arguments")
    named = (
        [argument for argument in listed if isinstance(argument, dict) and isinstance(argument.get("name"), str)]
        if (isinstance(listed, list))
        else []
    )
    schema: dict[str, Any] = {"type": "object"}
    if named:
        schema["properties"] = {argument["name"]: _argument(argument) for argument in named}
        if required := [argument["name"] for argument in named if not argument.get("optional")]:
            schema["required"] = required
    return {**kept, "inputSchema": schema}


def _argument(raw: Mapping[str, Any]) -> dict[str, Any]:
    described = raw.get("description") or raw.get("desc")
    return {
        **{key: raw[key] for key in ("type", "items", "enum", "default") if key in raw},
        **({"description": described} if isinstance(described, str) else {}),
    }
