"""Benchmarks of slimml on real tables."""
