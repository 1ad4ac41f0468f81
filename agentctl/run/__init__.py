"""The only code that awaits: the loop, one model call, one turn of tools."""
