"""What a local server says beside its answers, and who hears it."""
