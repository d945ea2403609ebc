# ruff: noqa: ANN401, C901, PLR0912, FBT001 - any JSON value; one walk, written out
"""The mapper once more, slow and plain, by other means: a reference that shares only the declarations with it.

It walks octet by octet, lets each declaration take what is its own out of what is there, and refuses what is left over.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl

from entitlements.rest.operation import Media, Operation, Parameter, Place, Shape, Style
from entitlements.rest.read import Incoming

HEX = "0123456789abcdefABCDEF"
UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
WEIGHTY = (
    "content-encoding", "content-range", "cookie", "idempotency-key", "if-match", "if-unmodified-since",
    "prefer", "trailer", "upgrade", "x-http-method", "x-http-method-override", "x-method-override",
    "x-original-uri", "x-original-url", "x-rewrite-url",
)  # fmt: skip
ONCE = ("authorization", "content-length", "content-type", "dpop", "host", "transfer-encoding")


class No(Exception):
    """It means nothing."""


def need(condition: object) -> None:
    if not condition:
        raise No


def meaning(api: dict[str, Operation], request: Incoming) -> tuple[str, dict[str, Any]] | None:
    """Return what a request means, None for nothing."""
    try:
        texts = _texts(request.path)
        name = _choose(api, request.method, texts)
        return name, _arguments(api[name], request, texts)
    except (No, ValueError, RecursionError):
        return None


def _octets(raw: bytes, allowed: str) -> bytes:
    out, place = [], 0
    while place < len(raw):
        character = chr(raw[place])
        need(character in allowed or character == "%")
        if character == "%":
            pair = raw[place + 1 : place + 3].decode("latin-1")
            need(len(pair) == 2 and pair[0] in HEX and pair[1] in HEX)
            out.append(int(pair, 16))
            place += 3
        else:
            out.append(raw[place])
            place += 1
    return bytes(out)


def _texts(raw: bytes) -> list[str]:
    need(raw[:1] == b"/")
    texts = [_octets(piece, UNRESERVED + "!$&'()*+,;=:@").decode() for piece in raw.split(b"/")[1:]]
    for number, text in enumerate(texts):
        need(text or number == len(texts) - 1)
        need(text not in (".", "..") and "/" not in text and "\\" not in text)
        need(all(ord(character) > 31 and ord(character) != 127 for character in text))
        for place in range(len(text)):
            if text[place] == "%" and len(text) > place + 2:
                need(text[place + 1] not in HEX or text[place + 2] not in HEX)
    return texts


def _fits(template: str, text: str) -> bool:
    if "{" not in template:
        return template == text
    before, after = template.partition("{")[0], template.partition("}")[2]
    return text.startswith(before) and text.endswith(after) and len(text) > len(before + after)


def _choose(api: dict[str, Operation], method: str, texts: list[str]) -> str:
    fitting = []
    for name, operation in api.items():
        templates = operation.path.split("/")[1:]
        is_alike = operation.method.value == method and len(templates) == len(texts)
        if is_alike and all(_fits(template, text) for template, text in zip(templates, texts, strict=True)):
            fitting.append((name, templates))

    def weight(template: str) -> int:
        return 2 if "{" not in template else 0 if template[0] == "{" and template[-1] == "}" else 1

    def no_less_concrete(one: list[str], other: list[str]) -> bool:
        return all(weight(mine) >= weight(theirs) for mine, theirs in zip(one, other, strict=True))

    winners = [one for one in fitting if all(no_less_concrete(one[1], other[1]) for other in fitting)]
    need(len(winners) == 1)
    return winners[0][0]


def _number(text: str) -> Any:
    need(text == text.strip() and text != "-0" and len(text) <= 400)
    value = json.loads(text)
    need(type(value) in (int, float) and value not in (float("inf"), float("-inf")))
    need(str(value) != "nan")
    return value


def _primitive(text: str, kind: str) -> Any:
    match kind:
        case "string":
            need("\0" not in text)
            return text
        case "boolean":
            need(text in ("true", "false"))
            return text == "true"
        case "integer":
            value = _number(text)
            need(type(value) is int)
            return value
    return _number(text)


def _object(pairs: list[tuple[str, str]], shape: Shape) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, text in pairs:
        need(key not in found and "\0" not in key and (key in shape.properties or shape.others))
        found[key] = _primitive(text, shape.properties.get(key, shape.others))
    return found


def _strict_json(text: bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len({key for key, _ in pairs}) == len(pairs))
        return dict(pairs)

    def finite(digits: str) -> float:
        need(float(digits) not in (float("inf"), float("-inf")))
        return float(digits)

    def never(_word: str) -> None:
        raise No

    value = json.loads(text.decode("utf-8"), object_pairs_hook=once, parse_float=finite, parse_constant=never)
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _one_piece(text: str, name: str, style: Style, explode: bool, shape: Shape, place: Place) -> Any:
    many = shape.kind in ("array", "object")
    if style is Style.LABEL:
        need(text.startswith("."))
        text = text[1:]
    if style is Style.MATRIX:
        start = ";" if explode and many else f";{name}="
        need(text.startswith(start))
        text = text[len(start) :]
    if place is Place.PATH and not (style is Style.MATRIX and explode and many):
        need(";" not in text)
    if not many:
        need(place is Place.QUERY or text)
        if place is Place.HEADER:
            need(text.strip() == text)
        return _primitive(text, shape.kind)
    between = ","
    if explode and style is Style.LABEL:
        between = "."
    if explode and style is Style.MATRIX:
        between = ";"
    if style is Style.SPACE:
        between = " "
    if style is Style.PIPE:
        between = "|"
    pieces = text.split(between)
    if place is Place.HEADER:
        pieces = [piece.strip(" \t") for piece in pieces]
    if shape.kind == "array":
        if style is Style.MATRIX and explode:
            need(all(piece.startswith(f"{name}=") for piece in pieces))
            pieces = [piece[len(name) + 1 :] for piece in pieces]
        need(place is Place.QUERY or all(pieces))
        return [_primitive(piece, shape.items) for piece in pieces]
    if explode and style in (Style.SIMPLE, Style.LABEL, Style.MATRIX):
        need(all("=" in piece for piece in pieces))
        pairs = [(piece.split("=", 1)[0], piece.split("=", 1)[1]) for piece in pieces]
    else:
        need(len(pieces) % 2 == 0)
        pairs = [(pieces[number], pieces[number + 1]) for number in range(0, len(pieces), 2)]
    if place is Place.HEADER:
        need(all(piece == piece.strip() for pair in pairs for piece in pair))
    need(place is Place.QUERY or all(key and value for key, value in pairs))
    return _object(pairs, shape)


def _row(raw: bytes, declared: list[tuple[str, str, Shape, Style, bool, bool]]) -> dict[str, Any]:
    """Let each declaration take its pairs: (name, argument, shape, style, explode, is JSON)."""
    need(all(33 <= octet <= 126 and octet not in b"#;" for octet in raw))
    for piece in raw.split(b"&") if raw else ():
        need(b"=" in piece and piece[0:1] != b"=")
        _octets(piece, "".join(map(chr, range(33, 127))))
    left = parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), errors="strict")
    found: dict[str, Any] = {}
    free = []

    def take(wanted: Any) -> list[tuple[str, str]]:
        taken = [pair for pair in left if wanted(pair[0])]
        left[:] = [pair for pair in left if not wanted(pair[0])]
        return taken

    for name, argument, shape, style, explode, is_json in declared:
        spreads = explode and style in (Style.FORM, Style.SPACE, Style.PIPE) and not is_json
        if style is Style.DEEP:
            taken = take(lambda key, name=name: key.startswith(f"{name}[") and key.endswith("]"))
            keys = [(key[len(name) + 1 : -1], text) for key, text in taken]
            need(all(key and "[" not in key and "]" not in key for key, _ in keys))
            if keys:
                found[argument] = _object(keys, shape)
            need(not any(key.startswith(f"{name}[") for key, _ in left))
        elif spreads and shape.kind == "object":
            taken = take(lambda key, shape=shape: key in shape.properties)
            if taken:
                found[argument] = _object(taken, shape)
            if shape.others:
                free.append((argument, shape))
        else:
            taken = take(lambda key, name=name: key == name)
            if not taken:
                continue
            if spreads and shape.kind == "array":
                found[argument] = [_primitive(text, shape.items) for _, text in taken]
                continue
            need(len(taken) == 1)
            text = taken[0][1]
            found[argument] = (
                _strict_json(text.encode()) if is_json else _one_piece(text, name, style, explode, shape, Place.QUERY)
            )
    for argument, shape in free:
        if left:
            found[argument] = {**_object(left, shape), **found.get(argument, {})}
            left = []
    need(not left)
    return found


def _arguments(operation: Operation, request: Incoming, texts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    by_name = {each.name: each for each in operation.parameters if each.place is Place.PATH}
    for template, text in zip(operation.path.split("/")[1:], texts, strict=True):
        if "{" in template:
            before, rest = template.split("{")
            name, after = rest.split("}")
            each = by_name[name]
            inner = text[len(before) : len(text) - len(after)]
            found[each.argument] = _one_piece(inner, name, each.style, each.explode, each.shape, Place.PATH)
    of_query = [each for each in operation.parameters if each.place is Place.QUERY]
    found |= _row(request.query, [_declared(each) for each in of_query])
    found |= _headers(operation, request)
    need(all(each.argument in found for each in operation.parameters if each.required))
    return found | _body(operation, request)


def _declared(each: Parameter) -> tuple[str, str, Shape, Style, bool, bool]:
    return each.name, each.argument, each.shape, each.style, each.explode, False


def _headers(operation: Operation, request: Incoming) -> dict[str, Any]:
    declared = {each.name.lower(): each for each in operation.parameters if each.place is Place.HEADER}
    named = [(name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")) for name, value in request.headers]
    names = [name for name, _ in named]
    for once in [*declared, *ONCE]:
        need(names.count(once) < 2)
    need(not ("content-length" in names and "transfer-encoding" in names))
    need(not any(weighty in names and weighty not in declared for weighty in WEIGHTY))
    found = {}
    for name, value in named:
        if name in declared or name == "content-type":
            need(all(32 <= ord(character) < 127 for character in value))
        if name in declared:
            each = declared[name]
            found[each.argument] = _one_piece(value, each.name, each.style, each.explode, each.shape, Place.HEADER)
    return found


def _body(operation: Operation, request: Incoming) -> dict[str, Any]:
    types = [value.decode("latin-1").strip(" \t") for name, value in request.headers if name.lower() == b"content-type"]
    body = operation.body
    if not types:
        need(not request.body and not (body and body.required))
        return {}
    need(body is not None)
    assert body is not None
    pieces = types[0].split(";")
    need(pieces[0].strip(" \t").lower() == body.media.value and len(pieces) <= 2)
    option = pieces[1].strip(" \t").split("=") if len(pieces) == 2 else []
    if body.media is Media.MULTIPART:
        need(len(option) == 2 and option[0].lower() == "boundary")
        mark = option[1]
        if len(mark) > 1 and mark[0] == mark[-1] == '"':
            mark = mark[1:-1]
        need(1 <= len(mark) <= 70 and all(c.isascii() and (c.isalnum() or c in "'()+_,-./:=?") for c in mark))
        return {body.argument: _parts(body.fields, mark.encode(), request.body)}
    if len(pieces) == 2:
        need(body.media is not Media.OCTETS and option in (["charset", option[-1]], ["Charset", option[-1]]))
        need(option[-1].lower() in ("utf-8", '"utf-8"'))
    if body.media is Media.OCTETS:
        return {body.argument: base64.b64encode(request.body).decode()}
    if body.media is Media.JSON:
        return {body.argument: _strict_json(request.body)}
    rows = [
        (name, name, field.shape, field.style, field.explode, bool(field.content_type))
        for name, field in body.fields.items()
    ]
    return {body.argument: _row(request.body, rows)}


def _parts(fields: Any, mark: bytes, body: bytes) -> dict[str, Any]:
    """Read part by part from the front: the line of the boundary, lines of headers, an empty line, the content."""
    found: dict[str, list[bytes]] = {}
    line = b"--" + mark
    need(body.startswith(line))
    rest, count = body[len(line) :], 0
    while rest not in (b"--", b"--\r\n"):
        need(rest.startswith(b"\r\n"))
        head, blank, rest = rest[2:].partition(b"\r\n\r\n")
        need(blank and line not in head)
        content, end, rest = rest.partition(b"\r\n" + line)
        need(end and line not in content)
        count += 1
        need(count < 1_000)
        name, filename, kind = _head(head.decode("utf-8"))
        need(name in fields)
        field = fields[name]
        need(filename is None or field.binary)
        is_json = not field.binary and (field.content_type == "application/json" or field.shape.kind == "object")
        if is_json:
            need(kind == "application/json")
        elif not field.binary:
            need(kind in ("", "text/plain", "text/plain; charset=utf-8"))
        need(name not in found or (field.shape.kind == "array" and not is_json))
        found.setdefault(name, []).append(content)
    values: dict[str, Any] = {}
    for name, contents in found.items():
        field = fields[name]
        if field.binary:
            values[name] = base64.b64encode(contents[0]).decode()
        elif field.shape.kind == "object":
            values[name] = _strict_json(contents[0])
        elif field.shape.kind == "array":
            values[name] = [_primitive(content.decode("utf-8"), field.shape.items) for content in contents]
        else:
            values[name] = _primitive(contents[0].decode("utf-8"), field.shape.kind)
    return values


def _head(head: str) -> tuple[str, str | None, str]:
    named: dict[str, str] = {}
    for line in head.split("\r\n"):
        name, colon, value = line.partition(":")
        need(colon and name.lower() in ("content-disposition", "content-type") and name.lower() not in named)
        need(value.isprintable())
        named[name.lower()] = value.strip(" ")
    need("content-disposition" in named)
    pieces = named["content-disposition"].split('"')
    need(len(pieces) in (3, 5) and pieces[0] in ("form-data; name=", "form-data;name=") and pieces[-1] == "")
    need(1 <= len(pieces[1]) <= 200 and "\\" not in pieces[1])
    filename = None
    if len(pieces) == 5:
        filename = pieces[3]
        need(pieces[2] in ("; filename=", ";filename=") and len(filename) <= 255 and "\\" not in filename)
    return pieces[1], filename, named.get("content-type", "").lower()
