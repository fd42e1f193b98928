"""Size, speed and footprint of what ships. Answers are checked (see parity) before they are timed."""
