"""Tool definitions: canonical form, schemas, suggested classes."""
