"""Files for other runtimes, written from a graph and compared before they are written.

writers.py      which ending is which kind of file     export.py        from an artifact: slimml export
onnx_file.py    .onnx                                  forest_file.py   .tl and .c
"""
