"""Serves models: the runtime that answers requests."""
