"""The commands: each module has NAME, SUMMARY, DESCRIPTION, EXAMPLES, ``arguments(parser)`` and ``run(given)``."""
