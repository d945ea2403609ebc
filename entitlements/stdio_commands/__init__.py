"""The commands that local servers are started by: proposed, confirmed by a second person, and used by systems."""
