"""The study as a site of static pages."""
