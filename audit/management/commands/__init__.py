"""`manage.py` commands of the record."""
