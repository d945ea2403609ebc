"""People sources: directories that add, change and remove people and groups by SCIM or by file."""
