"""A tool for agentctl: try it with `agentctl tools call days_between --tools own_tools.py`."""

from datetime import date

from agentctl import tool


@tool(repeat="safe")
def days_between(first: date, last: date) -> int:
    """Count the days from one date to another."""
    return (last - first).days
