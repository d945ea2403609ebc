"""Pages of the posture report."""
