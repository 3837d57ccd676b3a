"""PVT-v2 models in training form."""
