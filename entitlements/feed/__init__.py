"""The change feed and the locks."""
