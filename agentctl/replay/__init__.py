"""Living a recorded task again: the same driver and core, and only the recording in their world."""
