"""Systems of the kind `http`: their OpenAPI documents, and operations that people declare by hand."""
