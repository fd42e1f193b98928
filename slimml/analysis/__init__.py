"""Where the bytes of a model are, and where its microseconds go.

stream.py   the bytes of a pickle by step and attribute       unread.py   what prediction never reads
trees.py    how node arrays split into what is read and what is not
boosters.py   the same of XGBoost's and LightGBM's own formats
clock.py    microseconds, of the original or of the graph      run.py      analyze(), and what it answers
"""
