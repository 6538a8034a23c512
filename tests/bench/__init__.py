"""Performance, measured as ratios to floors of the same run: `make bench`. Nothing here is a test."""
