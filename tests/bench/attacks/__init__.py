"""Attacks on a node, each a coroutine that goes on until it is cancelled: ``python -m tests.bench.attacks NAME PORT``.

A new one is a function in a file of its kind, and a row in ``all.py``.
"""
