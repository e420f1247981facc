"""Runs the same jobs on any number of cores."""
