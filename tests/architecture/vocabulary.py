"""The words of the product and the words that they replaced, and every text that people read, by where it stands.

The table is that of `docs/glossary.md`: the term, and phrases that say the same in words that no practitioner searches
for. A phrase is precise enough to be wrong wherever it stands; code (between backticks) keeps the names it has.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.architecture import tree

TERMS: Final[Mapping[str, tuple[str, ...]]] = {
    "access review": (r"small reviews?", r"is (?:this|it) still needed\?", r"micro-reviews?"),
    "certify, reduce, revoke, abstain": (r"I can't judge",),
    "remediation, verification": (
        r"(?:a|the|each|every|any|no|this|proven|failed|queued) cuts?(?! (?:off|short|out|down))",
        r"cuts? (?:is|are|was|were) (?:still )?(?:not )?(?:proven|excepted|retried)",
    ),
    "reviewer assignment, approval routing": (r"resolutions? of (?:the )?(?:reviewers?|items?|approvers?)",),
    "conflict of interest": (r"(?:stands?|stood) in (?:the|your|their|her|his|its) way", r"(?:is|are) barred"),
    "requestable": (r"askable",),
    "entitlement catalog": (r"what (?:can|may) be asked for", r"what you (?:can|may) ask for"),
    "auto-approval rule": (r"approved by (?:a |the )?rules?", r"rules? approved it"),
    "business justification": (r"what (?:is it|it is|are they|they are) needed for",),
    "SoD policy": (r"combinations?", r"exceptions? from (?:a |the )?rules?"),
    "break-glass access": (r"emergenc(?:y|ies)",),
    "onboarding": (r"adoptions?", r"adopt(?:s|ed|ing)?"),
    "ownership, admin role": (r"heirs?", r"(?<!out of )(?<!out-of-)(?<!back )(?<!home )offices?"),
    "out-of-office delegate": (
        r"(?:answer|stand)(?:s|ed|ing)? in (?:your|their|her|his|my|one's|another's) place",
        r"stand-ins?",
    ),
    "right-sizing": (r"limits? near (?:their|its) use",),
    "blast radius": (r"how much (?:it|an agent) could do at its worst",),
    "suspend, revoke, kill switch": (
        (
            r"stop(?:s|ped|ping)? (?:(?:an|a|the|this|that|every|each|all|its|your) )?"
            r"(?:agents?|grants?|person|people|clients?|everything|access)"
        ),
        r"for all of them",
    ),
    "residual access": (
        r"(?:may|can|could|will) outlive it",
        r"what outlives",
    ),
    "audit log": (r"the record(?! of the)",),
    "held call": (r"(?:a|the|each|every|this|no|open) holds?",),
    "step-up authentication, re-authentication": (
        r"fresh proofs?",
        r"proofs? of (?:your|their|who|a fresh)[\w ]*",
        r"(?:ask|asks|asked|asking|needs?|wants?) (?:for )?a proof",
        r"prove (?:that )?(?:it is|it's) you",
        r"proving",
    ),
    "suspended": (r"(?-i:Stopped)",),
    "agent type": (r"kinds? of agents?",),
    "group mapping": (r"roles by groups?(?! mapping)", r"role maps?"),
    "API token": (r"tokens? for scripts?",),
}
_FOUND: Final = {
    term: re.compile(rf"(?i)(?<![\w-])(?:{'|'.join(phrases)})(?![\w-])") for term, phrases in TERMS.items()
}
_LABEL: Final = re.compile(r"\s*\* .* - ")
_APOSTROPHES: Final = str.maketrans({"\u2019": "'"})
_CODE: Final = re.compile(r"```.*?```|~~~.*?~~~|`[^`]*`|<!--.*?-->|\]\([^)]*\)", re.DOTALL)
_SILENT: Final = re.compile(
    r"<(script|style|pre|code|svg)\b.*?</\1>|<!--.*?-->|{#.*?#}|{% *comment.*?endcomment *%}", re.DOTALL
)
_TRANSLATED: Final = re.compile(r"""{%\s*(?:translate|trans)\s+("[^"]*"|'[^']*')""")
_BLOCK: Final = re.compile(r"{%-?\s*blocktrans\w*[^%]*%}(.*?){%\s*endblocktrans\w*\s*%}", re.DOTALL)
_ARGUMENT: Final = re.compile(r"""_\(("[^"]*"|'[^']*')\)""")
_TAG: Final = re.compile(r"{%.*?%}|{{.*?}}|<[^>]*>", re.DOTALL)
_GETTEXT: Final = {
    "_",
    "gettext",
    "gettext_lazy",
    "gettext_noop",
    "ngettext",
    "ngettext_lazy",
    "pgettext",
    "pgettext_lazy",
}


def wrong(text: str) -> list[str]:
    """Return each phrase of a text that another word replaced, with that word."""
    joined = " ".join(text.translate(_APOSTROPHES).replace("&#x27;", "'").split())
    return [f"{match[0]} ({term})" for term, pattern in _FOUND.items() for match in pattern.finditer(joined)]


def is_label(line: str) -> bool:
    """Return whether a line of the API document gives the label of a choice."""
    return _LABEL.match(line) is not None


def prose(markdown: str) -> str:
    """Return what a page says, without its code and without where its links lead."""
    return _CODE.sub(" ", markdown)


def visible(template: str) -> str:
    """Return what a template says or reads aloud, and each string that it has translated."""
    kept = _SILENT.sub(" ", template)
    parts = [*_TRANSLATED.findall(kept), *_BLOCK.findall(kept), *_ARGUMENT.findall(kept)]
    return " | ".join(_TAG.sub(" ", part) for part in [*parts, kept])


def translated(module: ast.Module) -> str:
    """Return the strings of a module that are marked for translation, and the messages of its refusals."""
    texts: list[str] = []
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if name in _GETTEXT:
                texts += [arg.value for arg in args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            case ast.ClassDef(body=body) if any(_is_code(each) for each in body):
                texts.append(ast.get_docstring(node) or "")
    return " | ".join(texts)


def _is_code(node: ast.stmt) -> bool:
    """Return whether a statement gives a class its code, as each refusal has one."""
    if not isinstance(node, ast.Assign):
        return False
    names = [each for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)]
    return any(name.id == "code" for name in names)


def console() -> Iterator[tuple[str, str]]:
    """Yield the folder and the text of each template, and of each Python module with strings for people."""
    for path in tree.files():
        name = path.relative_to(tree.ROOT)
        if name.parts[0] == "templates" and path.suffix in {".html", ".txt"}:
            yield str(name.parent), visible(path.read_text(encoding="utf-8"))
    for module, parsed, _ in tree.modules("governance", "entitlements"):
        yield room(module), translated(parsed)


def room(module: str) -> str:
    """Return the room of a module: the folder below its floor, or the module itself."""
    parts = module.split("/")
    return "/".join(parts[: 3 if parts[1] == "reviews" else 2])


def document(node: Any, place: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any part of the document
    """Yield each text of the API document, with where it stands."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if name in {"summary", "description", "title"} and isinstance(inner, str):
                yield place, prose(inner)
            elif name not in {"example", "examples", "enum"}:
                yield from document(inner, f"{place}/{name}")
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from document(inner, f"{place}/{number}")
