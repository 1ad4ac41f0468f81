"""Rows in, Rich renderables out. Nothing here prints or reads a file."""
