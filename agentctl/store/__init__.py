"""What was decided and what happened, on disk: one SQLite file and its rules."""
