"""The audit log as pages show it, and search."""
