"""What a change would have denied: recorded calls decided again, under grants, guardrails or policies that changed."""
