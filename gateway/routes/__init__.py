"""The native API. Each module's ``routes(…)`` makes its routes of the parts of a node that it needs."""
