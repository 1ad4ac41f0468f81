"""What was learned of each model's tokens. It only makes estimates better: losing it loses nothing.

Written once at the end of a run, so that a step pays nothing for it.
"""

from __future__ import annotations

from typing import Any

from agentctl.core.calibrate import Calibration, merged


def learned(db: Any, provider: str, model: str) -> Calibration:
    """What earlier runs have learned of a model; nothing for a new one."""
    row = db.execute(
        "SELECT bytes, tokens FROM calibration WHERE provider = ? AND model = ?", (provider, model)
    ).fetchone()
    return Calibration(*row) if row else Calibration()


def learn(db: Any, provider: str, model: str, news: Calibration) -> None:
    """Add what a run has learned, within the caller's transaction: other runs write here too."""
    whole = merged(learned(db, provider, model), news)
    db.execute(
        "INSERT OR REPLACE INTO calibration VALUES (?, ?, ?, ?)",
        (provider, model, whole.bytes, whole.tokens),
    )
