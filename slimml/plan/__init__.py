"""The serialized plan: what the portable executor and the engine run. See `ops` for the closed list."""
