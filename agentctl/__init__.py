"""Run LLM agents that never overspend and never lose or silently repeat work."""

__version__ = "0.1.0"
