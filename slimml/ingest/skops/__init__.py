"""Files of skops (`.skops`): a zip archive of a schema and of arrays, to the Records that a pickle would give."""
