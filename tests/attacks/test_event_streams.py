"""What a hostile upstream does with the stream of its answer to hold up or fill up the gateway."""

from __future__ import annotations

import time

import pytest

from entitlements.upstream import sse

MEGABYTE = 1024 * 1024


def test_a_long_line_in_small_pieces_costs_no_more_than_its_length() -> None:
    reader = sse.Reader(16 * MEGABYTE)
    began = time.process_time()

    for _ in range(8 * 1024):
        reader.feed(b"x" * 1024)

    assert time.process_time() - began < 2  # copied anew with every piece, it took the whole gateway a minute


def test_an_event_of_empty_lines_without_end_is_given_up() -> None:
    reader = sse.Reader(MEGABYTE)
    for _ in range(100):
        reader.feed(b"data:\n" * 10_000)

    with pytest.raises(sse.TooLarge):
        reader.feed(b"data:\n" * 100_000)
