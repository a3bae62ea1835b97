"""A network of known Keras layers written as an ONNX file, the mirror of from_onnx; the file is held against Keras."""
