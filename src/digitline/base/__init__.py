"""Errors, files, digests: the base of every wing; imports no other wing."""
