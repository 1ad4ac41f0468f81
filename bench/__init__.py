"""Benchmarks: figures as ratios to something physical, measured in the same run.

`python -m bench step` and `python -m bench startup`. Nothing here asserts on time.
"""
