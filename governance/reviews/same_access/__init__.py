"""One decision settles the open items of other reviews that ask about the same access."""
