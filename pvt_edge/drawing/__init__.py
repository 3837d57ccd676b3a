"""What is painted on a picture: boxes, masks, counters and their names."""
