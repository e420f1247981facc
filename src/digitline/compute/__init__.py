"""The same jobs on however many cores."""
