"""params.yaml held against the keys that the wings state, and where things are."""
