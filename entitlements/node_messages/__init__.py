"""What one node keeps for another, and the wake-up that says so."""
