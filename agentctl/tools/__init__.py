"""What an agent can do. Each tool says its category, time-out and whether repeating it is safe."""
