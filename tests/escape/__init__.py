"""Attempts to get out, and harmless input that must pass: each row of `table` is one of them."""
