"""Catalogs in files: imported, or planned and carried out."""
