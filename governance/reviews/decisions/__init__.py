"""Decisions of reviewers: drafts, bulk decisions, submission, recall."""
