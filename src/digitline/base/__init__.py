"""Errors, files, digests: what every wing stands on; imports nothing of ours."""
