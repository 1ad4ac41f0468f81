"""`python -m tests.sim 10000` or `python -m tests.sim --seed 7`."""

from __future__ import annotations

import sys
from collections import Counter

from tests.sim.life import live

if sys.argv[1:2] == ["--seed"]:
    print(" → ".join(live(int(sys.argv[2]))))
else:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    ends: Counter[str] = Counter()
    for seed in range(count):
        ends.update(live(seed))
    print(f"{count} lives, every rule held. Ways that processes ended: {dict(ends.most_common())}")
