"""Discovery: scheduled read-only pulls from identity providers and device inventories find unmanaged agents."""
