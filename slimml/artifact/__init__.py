"""The .slim file: one flat, deterministic container that is validated before any of it is used.

    write.py     Manifest + sections -> bytes -> file      read.py      file or bytes -> Artifact
    manifest.py  what the header says                      layout.py    where the bytes lie, and the limits
    tensors.py   many named arrays in one section          exact.py     values (NaN, inf included) in strict JSON

Standard library alone, so that opening an artifact wakes nothing else.
"""
