"""`python -m bench step|startup`."""

from __future__ import annotations

import sys

from bench import startup, step

COMMANDS = {"step": step.main, "startup": startup.main}

if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
    sys.exit(f"Usage: python -m bench {'|'.join(COMMANDS)}")
sys.exit(COMMANDS[sys.argv[1]](sys.argv[2:]))
