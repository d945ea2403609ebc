"""The demo's world: its people, agents and systems, their fourteen months of history, and the fleet."""
