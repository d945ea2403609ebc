"""How much one caller may hold of what others need."""
