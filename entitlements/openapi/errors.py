"""Why a document or one of its operations is refused: stable words, each with its sentence. Pure."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from entitlements.errors import DomainError


class DocumentMalformed(DomainError):
    """The document is not an OpenAPI 3.0 or 3.1 document that can be read."""

    code, status = "openapi_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class OperationRefused(DomainError):
    """The operation cannot be mapped exactly. The answer names what is not supported."""

    code, status = "operation_refused", HTTPStatus.UNPROCESSABLE_ENTITY


class Why(StrEnum):
    """The stable word for why one operation is refused. Words are added, never renamed."""

    MALFORMED = "malformed"
    METHOD = "method_not_supported"
    COOKIE = "cookie_parameter"
    HEADER = "header_not_allowed"
    CONTENT = "parameter_content"
    STYLE = "style_not_supported"
    RESERVED = "reserved_characters"
    NAME = "parameter_name"
    TWICE = "parameter_twice"
    NESTED = "value_nested"
    MIXED = "value_of_several_types"
    UNTYPED = "value_without_type"
    PATH = "path_not_supported"
    PATH_PARAMETERS = "path_parameters"
    PATH_TWICE = "path_twice"
    SERVERS = "servers_of_its_own"
    BODY_WITH_METHOD = "body_with_method"
    BODY_TYPE = "body_type"
    BODY_FORM = "body_form"
    ENCODING = "body_encoding"
    REFERENCE_ELSEWHERE = "reference_elsewhere"
    REFERENCE_LOST = "reference_lost"
    REFERENCE_LOOP = "reference_loop"
    KEYWORD = "schema_keyword"
    TOO_LARGE = "too_large"
    DEFINITION = "definition_malformed"
    NAME_CLASH = "name_clash"


SENTENCES: Final = {
    Why.MALFORMED: "The document does not describe it in the form of OpenAPI.",
    Why.METHOD: "Its method is not forwarded.",
    Why.COOKIE: "It takes a cookie.",
    Why.HEADER: "It takes a header that only the gateway sets.",
    Why.CONTENT: "A parameter is written as a media type of its own.",
    Why.STYLE: "A parameter is written in a style that is not supported at its place.",
    Why.RESERVED: "A parameter may hold reserved characters as they are.",
    Why.NAME: "The name of a parameter or field is too long, or has characters that cannot be seen or sent.",
    Why.TWICE: "Two parameters would be written under the same name.",
    Why.NESTED: "A value is nested deeper than an address, a header or a form can say exactly.",
    Why.MIXED: "A value may be of several types, which an address, a header or a form cannot tell apart.",
    Why.UNTYPED: "The type of a value is not declared.",
    Why.PATH: "Its path is not made of plain segments, each with one parameter at most.",
    Why.PATH_PARAMETERS: "Its path and its path parameters do not name the same.",
    Why.PATH_TWICE: "Its method stands at another path as well that is the same but for the names of its parameters.",
    Why.SERVERS: "It is served at another address than the rest of the document.",
    Why.BODY_WITH_METHOD: "It takes a body with a method that has none.",
    Why.BODY_TYPE: "None of the types of its body is JSON, a form, multipart or octets.",
    Why.BODY_FORM: "Its form is not an object with declared fields.",
    Why.ENCODING: "A field of its form is encoded in a way that is not supported.",
    Why.REFERENCE_ELSEWHERE: "It refers to something outside the document.",
    Why.REFERENCE_LOST: "It refers to something that is not in the document.",
    Why.REFERENCE_LOOP: "It refers to itself where no value can end.",
    Why.KEYWORD: "A schema uses a keyword that is not supported.",
    Why.TOO_LARGE: "Its schemas are too large or nested too deep.",
    Why.DEFINITION: "The tool that it would become is not usable.",
    Why.NAME_CLASH: "Another operation would have the same name.",
}


class Unsupported(Exception):
    """One operation cannot be mapped exactly; `about` names the part, as the document writes it."""

    def __init__(self, why: Why, about: str = "") -> None:
        self.why = why
        self.about = about
        super().__init__(why.value)
