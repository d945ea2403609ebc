"""Floor 3: where people change their minds; and the Django project itself."""
