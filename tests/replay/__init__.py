"""Recorded tasks lived again."""
