"""Draws numbers as pictures: palette, charts, mosaics, results."""
