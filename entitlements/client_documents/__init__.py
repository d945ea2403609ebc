"""Clients that describe themselves by a document at their own address, and which of them people may sign in to."""
