"""What the console pages of a staging read."""
