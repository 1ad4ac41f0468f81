"""Real processes and a real database, killed, signalled and hindered."""
