"""The two credentials of a client: which of them it used, whether that one is too old, and how it gets another."""
