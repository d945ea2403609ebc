"""What pages read: querysets and small records for templates, always within what the person may see."""
