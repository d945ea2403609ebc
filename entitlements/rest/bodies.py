"""The body of a request: one declared media type, read strictly and written anew. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from entitlements import strict
from entitlements.codes import Code

from . import fields, multipart
from .operation import Body, Media
from .refusals import NotMapped

_UTF_8: Final = ("utf-8", '"utf-8"')


def write(body: Body | None, form: fields.Row | None, arguments: Mapping[str, Any]) -> tuple[str, bytes | None]:
    """Return the content type and the body of a request: none where the argument is left out. Raises NotMapped."""
    if body is None:
        return "", None
    if body.argument not in arguments:
        if body.required:
            raise fields.missing(body.argument)
        return "", None
    value = arguments[body.argument]
    match body.media:
        case Media.JSON:
            return body.media.value, strict.dumps(value)
        case Media.MULTIPART:
            return multipart.write(body.fields, value)
        case Media.OCTETS:
            try:
                return body.media.value, multipart.octets(value)
            except ValueError as why:
                raise NotMapped(Code.BODY_NOT_VALID, f"The body {why}.") from why
    if not isinstance(value, dict) or not value.keys() <= body.fields.keys():
        raise NotMapped(Code.BODY_NOT_VALID, "The body is no object of the declared fields.")
    assert form is not None  # noqa: S101 - for the type checker: a form has its row
    return body.media.value, form.write(value).encode()


def read(body: Body | None, form: fields.Row | None, content_type: str | None, content: bytes) -> dict[str, Any]:
    """Return the argument that the body of a request is, if it has one. Raises NotMapped.

    A request has a body if it says of which type. One without a type and without octets has none.
    """
    if content_type is None:
        if content:
            raise NotMapped(Code.BODY_TYPE_NOT_DECLARED, "The body has no content type.")
        if body is not None and body.required:
            raise fields.missing(body.argument)
        return {}
    if body is None:
        raise NotMapped(Code.BODY_NOT_VALID, "The operation takes no body.")
    return {body.argument: _value(body, form, _boundary(body.media, content_type), content)}


def _value(body: Body, form: fields.Row | None, boundary: str, content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    match body.media:
        case Media.JSON:
            try:
                return strict.loads(content)
            except strict.NotStrictJson as why:
                raise NotMapped(Code.BODY_NOT_VALID, why.message) from why
        case Media.MULTIPART:
            return multipart.read(body.fields, boundary, content)
        case Media.OCTETS:
            return base64.b64encode(content).decode()
    assert form is not None  # noqa: S101 - for the type checker: a form has its row
    return form.read(content)


def _boundary(media: Media, content_type: str) -> str:
    """Compare the type of a request with the declared one; return the boundary of parts. Raises NotMapped."""
    named, semicolon, parameter = content_type.partition(";")
    name, equals, value = parameter.strip(" \t").partition("=")
    if named.strip(" \t").lower() == media.value:
        if media is Media.MULTIPART and name.lower() == "boundary" and equals:
            return multipart.boundary_of(value)
        is_text = media in (Media.JSON, Media.FORM) and name.lower() == "charset" and value.lower() in _UTF_8
        if media is not Media.MULTIPART and (is_text or not semicolon):
            return ""
    raise NotMapped(Code.BODY_TYPE_NOT_DECLARED, f"The body must be of the type {media.value}.")
