"""`python -m bench batch|context|guards|pictures|report|startup|step|tools`."""

from __future__ import annotations

import sys

from bench import batch, context, guards, pictures, report, startup, step, tools

COMMANDS = {
    "batch": batch.main,
    "context": context.main,
    "guards": guards.main,
    "pictures": pictures.main,
    "report": report.main,
    "startup": startup.main,
    "step": step.main,
    "tools": tools.main,
}

if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
    sys.exit(f"Usage: python -m bench {'|'.join(COMMANDS)}")
sys.exit(COMMANDS[sys.argv[1]](sys.argv[2:]))
