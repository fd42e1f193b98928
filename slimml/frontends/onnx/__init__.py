"""ONNX models: what ONNX Runtime answers when it runs the file."""
