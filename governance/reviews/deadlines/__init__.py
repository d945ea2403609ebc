"""Deadlines of reviews: reminders, and what happens to unanswered items."""
