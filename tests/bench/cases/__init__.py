"""What is measured. One file per case, each with ``NAME``, ``SUMMARY``, ``COLUMNS`` and ``run(options)``."""
