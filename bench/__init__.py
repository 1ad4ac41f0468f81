"""Benchmarks: figures as ratios to something physical, measured in the same run.

`python -m bench step`, `startup`, `guards` and `report`. Nothing here asserts on time.
"""
