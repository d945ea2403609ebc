"""Home: what needs the person who looks."""
