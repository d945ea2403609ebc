"""Who must not decide, and who is asked: one kernel for requests, reviews, onboarding and break-glass access."""
