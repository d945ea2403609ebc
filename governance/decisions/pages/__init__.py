"""Pages that answer questions about decisions."""
