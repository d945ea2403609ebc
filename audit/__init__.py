"""Floor 1: remembers. Knows no domain type; imports nothing from the floors above."""
