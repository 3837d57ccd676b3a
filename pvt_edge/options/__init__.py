"""What may be asked for: options of commands and of public calls, each declared once, in frozen objects."""
