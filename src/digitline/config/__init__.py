"""Checks params.yaml against the keys that the wings declare; defines the paths."""
