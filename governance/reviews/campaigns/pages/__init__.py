"""The console pages of campaigns."""
