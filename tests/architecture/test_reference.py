"""What is generated is committed as it is generated."""

from difflib import unified_diff

from scripts import reference


def test_the_generated_reference_is_up_to_date() -> None:
    for name, text in reference.pages().items():
        kept = (reference.FOLDER / name).read_text()
        assert kept == text, "\n".join(
            [f"{name} is stale: run `make reference`", *unified_diff(kept.splitlines(), text.splitlines(), n=0)]
        )
