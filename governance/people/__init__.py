"""People, groups, people sources and group mapping."""
