"""The console's pages of session policies."""
