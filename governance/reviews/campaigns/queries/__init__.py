"""What the console pages of campaigns and their items read."""
