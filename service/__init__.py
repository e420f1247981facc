"""The champion behind BentoML."""
