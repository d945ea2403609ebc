"""SCIM 2.0 (RFC 7643, RFC 7644) at /scim/v2: a people source adds, changes and removes its people and groups."""
