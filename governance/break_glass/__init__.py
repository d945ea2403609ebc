"""Break-glass access, and its review afterwards."""
