"""The pages of REST APIs: their documents, refused operations, and operations by hand."""
