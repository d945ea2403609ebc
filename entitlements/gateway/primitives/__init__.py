"""Resources, prompts and completion behind the gateway."""
