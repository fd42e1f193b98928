"""ONNX files, read as data: neither the onnx package nor a runtime is asked."""
