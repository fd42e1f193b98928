"""Tests of slimml; the folders mirror those of slimml/."""
