"""Policy domains: the types, entities and rules of a system whose own enforcement points ask by AuthZEN."""
