"""Whether agentctl can work here: each check finds something and says what to do about it."""
