"""The compose file in a real container engine: `make engine`."""
