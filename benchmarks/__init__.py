"""Bundle -> numbers: what `pvt-edge benchmark` runs. Recorded studies are scripts in `studies/`, not installed."""
