"""The command line: thin functions over the public API."""

from pvt_edge.cli.app import main

__all__ = ["main"]
