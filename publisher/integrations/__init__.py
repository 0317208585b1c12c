"""Queues whose tasks are jobs: one module each, on the rules of ``rules.py`` and ``reporter.py``."""
