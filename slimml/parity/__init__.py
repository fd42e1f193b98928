"""Whether an artifact answers as the original does, and who is to blame where it does not.

seams.py      the three seams, the nets and the verdict: `check`
inputs.py     the rows to try            cells.py     raw values around every cut
reference.py  the original               process.py   in a process of its own, which runs worker.py
compare.py    answers against answers    bound.py     how far rounding may carry
nets.py       every cut, every node      report.py    what is said of it
"""
