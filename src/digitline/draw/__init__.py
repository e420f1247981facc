"""Numbers in, pictures out: the palette, charts, mosaics, results."""
