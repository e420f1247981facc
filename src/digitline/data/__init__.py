"""Images and labels: their sources, their preparation, the expectations that they must meet, corrections."""
