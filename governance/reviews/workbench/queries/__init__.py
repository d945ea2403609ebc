"""What the workbench reads."""
