"""Benchmarks: figures as ratios to something physical, measured in the same run.

`python -m bench step`, `startup`, `guards`, `report` and `context`. Nothing here asserts on time.
"""
