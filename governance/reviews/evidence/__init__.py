"""Evidence of reviews, and an auditor's work on it."""
