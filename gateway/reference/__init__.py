"""Makes the reference pages from the code: ``python -m gateway.reference NAME``."""
