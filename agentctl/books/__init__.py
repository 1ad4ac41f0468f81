"""The books: checking every table and file that follows from the log, and looking ahead."""
