"""What one person proposes and another confirms: one table and one state machine, for every kind that is registered."""
