"""The native API. Each module's ``routes(node)`` returns its routes."""
