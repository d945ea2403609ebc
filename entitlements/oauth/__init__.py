"""The doors of our issuers: `/idp`, the identity side, and `/as/<system>`, one authorization server a system."""
