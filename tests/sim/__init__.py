"""Simulated lives: the real core, driver and tool belt in a world made of a seed.

A life is a task from its creation to its end, through crashes at commits and inside calls, provider
faults, and pauses, cancels and new limits from other processes. `rules.Watcher` looks at every
event. `python -m tests.sim 10000` lives more of them; `python -m tests.sim --seed 7` lives one.
"""
