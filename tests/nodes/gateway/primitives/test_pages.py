"""Lists in pages: each entry once, the cursor for its own list alone."""

from __future__ import annotations

import pytest

from entitlements.definitions.primitives import Primitive
from entitlements.gateway.primitives import lists
from entitlements.node.refusals import Refused


def test_a_page_goes_on_behind_a_name_that_is_gone() -> None:
    names = [f"tool_{number:03}" for number in range(lists.PAGE + 1)]
    listed, following = lists.page(dict.fromkeys(names, b"{}"), "")
    assert (len(listed), following) == (lists.PAGE, names[-2])
    rest = {names[-1]: b"last", names[0]: b"first"}
    assert lists.page(rest, following) == ([b"last"], "")


@pytest.mark.parametrize("text", ["", "x", "é", 1, None, "dG9vbDo=", "dG9vbDp4=", "dG9vbDp4\n"])
def test_a_cursor_of_no_list_or_of_another_is_refused(text: object) -> None:
    assert lists.read_cursor(lists.cursor("x", Primitive.TOOL).decode(), Primitive.TOOL) == "x"
    with pytest.raises(Refused, match="no such cursor"):
        lists.read_cursor(text, Primitive.TOOL)
    with pytest.raises(Refused, match="no such cursor"):
        lists.read_cursor(lists.cursor("x", Primitive.TOOL).decode(), Primitive.PROMPT)
