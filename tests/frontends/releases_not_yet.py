"""Models of test_releases.py that do not answer as their release did yet: name -> the releases.

What gains its answer leaves the table: delete the release, or the line. (Blank lines keep merges apart.)
"""

NOT_YET: dict[str, str] = {
    "rfe": "0.18.2-py27 0.20.3 0.22.2.post1 0.24.2 1.1.3 1.3.2 1.5.2 1.8.0",
}
