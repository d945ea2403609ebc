"""Use of access, and right-sizing by it."""
