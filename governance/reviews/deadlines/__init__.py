"""Deadlines of reviews: reminders, and what happens to items that stay undecided."""
