"""Explains decisions: why one was made, who can call a tool now or at a past moment, and what a change would deny."""
