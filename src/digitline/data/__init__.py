"""Images and labels: sources, preparation, expectations, corrections."""
