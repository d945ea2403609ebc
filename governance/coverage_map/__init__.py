"""The coverage map: by which path each agent reaches each system."""
