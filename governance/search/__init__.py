"""Search: what the command bar and its page find."""
