"""What the posture report counts and shows."""
