"""How two answers to the same picture differ: figures, matched boxes, vectors, and pictures of it."""
