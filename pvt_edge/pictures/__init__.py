"""Pictures: their files, pixels and sizes."""
