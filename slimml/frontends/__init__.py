"""Frontends read Records and say what they mean as a graph."""
