"""What is generated is committed as it is generated."""

from difflib import unified_diff

from entitlements.api import problems
from scripts import commandindex, reference


def test_the_generated_reference_is_up_to_date() -> None:
    for name, text in reference.pages().items():
        kept = (reference.FOLDER / name).read_text()
        assert kept == text, "\n".join(
            [f"{name} is stale: run `make reference`", *unified_diff(kept.splitlines(), text.splitlines(), n=0)]
        )


def test_the_command_line_knows_the_operations_of_the_document() -> None:
    assert commandindex.INDEX.read_text() == commandindex.text(commandindex.document()), "run `make reference`"


def test_a_refusal_in_the_words_of_the_framework_adds_no_code_to_the_reference() -> None:
    refusal = problems._named("method_not_allowed", 'Method "PROPFIND" not allowed.')
    assert (refusal.code, refusal.message) == ("method_not_allowed", 'Method "PROPFIND" not allowed.')
    assert "PROPFIND" not in reference.pages()["codes.md"]
