"""Whether a bundle's artifacts give the answers of a reference; no labels, no torch."""
