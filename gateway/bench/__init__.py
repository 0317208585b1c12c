"""The load test behind ``sse-gateway bench``."""
