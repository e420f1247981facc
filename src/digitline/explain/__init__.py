"""What a network has learned: activations, filters, embedding, mistakes, and probes of the ideas behind it."""
