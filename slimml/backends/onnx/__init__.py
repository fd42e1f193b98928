"""ONNX by our own emission.

region.py    which nodes of a graph one call takes over     forest.py    Trees to a TreeEnsemble
rules.py     each op in ONNX's operators                    objects.py   the ops on categories
program.py   a model in ONNX's own terms                    protobuf.py  program -> bytes, deciding nothing
backend.py   the candidate of an artifact                   export.py    a whole graph as a plain ONNX file
inline.py    a model of an artifact as part of another one
"""
