"""What a network has learned: activations, filters, embedding, mistakes, and the ideas behind it measured."""
