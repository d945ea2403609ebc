"""Mail to people: written down first, tried until it leaves."""
