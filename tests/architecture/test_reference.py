"""What is generated is committed as it is generated."""

from scripts import reference


def test_the_generated_reference_is_up_to_date() -> None:
    for name, text in reference.pages().items():
        assert (reference.FOLDER / name).read_text() == text, f"{name} is stale: run `make reference`"
