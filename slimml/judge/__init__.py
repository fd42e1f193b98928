"""An artifact measured (bench) and held to limits (gate).

limits.py     "5MB", "500us", "10%" to numbers, and back to words     baseline.py   what a limit may be relative to
rows.py       rows that an artifact answers                           drift.py      answers against answers
bench.py      how fast, beside the original                           gate.py       yes or no
result.py     what both answer                                        reports.py    JUnit and Markdown
"""
