"""A model as it answers requests."""
