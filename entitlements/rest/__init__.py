"""Operations of REST APIs: read from OpenAPI, mapped to requests and back. Pure."""
