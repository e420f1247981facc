"""Writes the study as a static site."""
