"""Bytes to Records: a pickle is read as data, and nothing that it names is imported or called."""
