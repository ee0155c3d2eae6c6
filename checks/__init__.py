"""Instruments too slow for the test suite, each a command: python -m checks.matrix, checks.fuzz, checks.kills."""
