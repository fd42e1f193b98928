"""What stands between raw columns and the ranks that forests read, said of the raw columns."""
