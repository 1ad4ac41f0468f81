"""All tasks on one screen, to be watched and steered. Needs the extra `tui` (Textual)."""
