"""Bodies of several parts (RFC 7578): written in one form, read only where all readers find the same parts. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from entitlements import strict
from entitlements.codes import Code

from . import primitives, styles
from .operation import Field, Media
from .refusals import NotMapped, bad_value, quoted

_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,70}")
_DISPOSITION: Final = re.compile(r'form-data; ?name="([^"\r\n\\]{1,200})"(?:; ?filename="([^"\r\n\\]{0,255})")?')
_NAME: Final = re.compile(r"[^\"\r\n\\\x00]{1,200}")
_MOST_PARTS: Final = 1_000
_TEXT: Final = ("", "text/plain", "text/plain; charset=utf-8")
_END: Final = b"\r\n"


def write(fields: Mapping[str, Field], values: object) -> tuple[str, bytes]:
    """Return the content type and the body. Raises NotMapped."""
    if not isinstance(values, dict):
        raise NotMapped(Code.BODY_NOT_VALID, "The body is no object.")
    parts = []
    for name, value in values.items():
        if name not in fields or not _NAME.fullmatch(name):
            raise NotMapped(Code.PARAMETER_NOT_DECLARED, f"The field {quoted(name)} is not declared.")
        try:
            parts += [(name, fields[name], content) for content in _contents(fields[name], value)]
        except ValueError as why:
            raise bad_value(name, str(why)) from why
    digest = hashlib.sha256()
    for _, _, content in parts:
        digest.update(content)
    boundary = f"mandate-{digest.hexdigest()[:40]}"
    delimiter = f"--{boundary}".encode()
    body = b"".join(delimiter + _END + _head(name, each) + content + _END for name, each, content in parts)
    return f"{Media.MULTIPART.value}; boundary={boundary}", body + delimiter + b"--" + _END


def read(fields: Mapping[str, Field], boundary: str, body: bytes) -> dict[str, Any]:
    """Return the values of the parts. Raises NotMapped."""
    found: dict[str, list[bytes]] = {}
    for name, filename, content_type, content in _parts(boundary, body):
        each = fields.get(name)
        if each is None:
            raise NotMapped(Code.PARAMETER_NOT_DECLARED, f"The field {quoted(name)} is not declared.")
        if name in found and not _is_repeated(each):
            raise NotMapped(Code.PARAMETER_REPEATED, f"The field {quoted(name)} is there more than once.")
        if (filename is not None and not each.binary) or not _is_of_type(each, content_type):
            raise bad_value(name, "is a part of another type")
        found.setdefault(name, []).append(content)
    values: dict[str, Any] = {}
    for name, contents in found.items():
        try:
            values[name] = _value(fields[name], contents)
        except strict.NotStrictJson as why:
            raise bad_value(name, "is no strict JSON") from why
        except ValueError as why:
            raise bad_value(name, str(why)) from why
    return values


def boundary_of(text: str) -> str:
    """Return a boundary as a content type names it. Raises NotMapped."""
    inner = text[1:-1] if text.startswith('"') and text.endswith('"') and len(text) > 1 else text
    if not _BOUNDARY.fullmatch(inner):
        raise NotMapped(Code.BODY_TYPE_NOT_DECLARED, "The boundary of the parts is not valid.")
    return inner


def octets(text: object) -> bytes:
    """Return what base64 stands for, if it is written in the one way. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("is no base64")  # noqa: TRY004 - half a sentence, like the others
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as why:
        raise ValueError("is no base64") from why
    if base64.b64encode(content).decode() != text:
        raise ValueError("is no base64")
    return content


def _parts(boundary: str, body: bytes) -> Iterator[tuple[str, str | None, str, bytes]]:
    delimiter = b"--" + boundary.encode()
    if not body.startswith(delimiter):
        raise _malformed()
    pieces = (_END + body).split(_END + delimiter)
    if pieces[0] or pieces[-1] not in (b"--", b"--" + _END) or len(pieces) > _MOST_PARTS:
        raise _malformed()
    for piece in pieces[1:-1]:
        head, blank, content = piece.partition(_END + _END)
        if not blank or not head.startswith(_END) or delimiter in content:
            raise _malformed()
        yield *_headers(head[len(_END) :]), content


def _headers(head: bytes) -> tuple[str, str | None, str]:
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError as why:
        raise _malformed() from why
    known: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or name in known or name not in ("content-disposition", "content-type") or not value.isprintable():
            raise _malformed()
        known[name] = value.strip(" ")
    named = _DISPOSITION.fullmatch(known.get("content-disposition", ""))
    if named is None:
        raise _malformed()
    return named[1], named[2], known.get("content-type", "").lower()


def _types(each: Field) -> tuple[str, ...]:
    if each.content_type:
        return (each.content_type.lower(),)
    if each.binary:
        return ("", Media.OCTETS.value)
    return (Media.JSON.value,) if each.shape.kind == "object" else _TEXT


def _is_of_type(each: Field, content_type: str) -> bool:
    """Whether a part may say this of itself; of octets without a declared type any word is as good, and is left out."""
    return content_type in _types(each) or (each.binary and not each.content_type)


def _head(name: str, each: Field) -> bytes:
    filename = f'; filename="{name}"' if each.binary else ""
    content_type = _types(each)[-1]
    return f'Content-Disposition: form-data; name="{name}"{filename}\r\nContent-Type: {content_type}\r\n\r\n'.encode()


def _is_json(each: Field) -> bool:
    return _types(each)[-1] == Media.JSON


def _is_repeated(each: Field) -> bool:
    return each.shape.kind == "array" and not _is_json(each)


def _contents(each: Field, value: object) -> list[bytes]:
    if _is_json(each) and not each.binary:
        return [strict.dumps(value)]
    if _is_repeated(each) and not isinstance(value, list):
        raise ValueError("is no array")
    if _is_repeated(each) and not value:
        raise ValueError("is empty: leave it out")
    values: list[Any] = value if _is_repeated(each) and isinstance(value, list) else [value]
    if each.binary:
        return [octets(inner) for inner in values]
    kind: Any = each.shape.items if _is_repeated(each) else each.shape.kind
    return [primitives.write(inner, kind).encode() for inner in values]


def _value(each: Field, contents: list[bytes]) -> Any:  # noqa: ANN401 - any JSON value
    if _is_json(each) and not each.binary:
        return strict.loads(contents[0])
    if each.binary:
        values: list[Any] = [base64.b64encode(content).decode() for content in contents]
        return values if _is_repeated(each) else values[0]
    texts = [content.decode("utf-8") for content in contents]
    if _is_repeated(each):
        return styles.array(texts, each.shape)
    kind: Any = each.shape.kind
    return primitives.read(texts[0], kind)


def _malformed() -> NotMapped:
    return NotMapped(Code.BODY_NOT_VALID, "The parts of the body are not written as they must be.")
