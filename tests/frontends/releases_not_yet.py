"""Models of test_releases.py that do not answer as their release did: name -> the releases, with spaces between.

What gains its answer leaves the table: delete the release, or the line.
"""

NOT_YET: dict[str, str] = {}
