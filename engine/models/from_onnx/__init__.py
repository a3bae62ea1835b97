"""ONNX files as PyTorch writes them, turned into configurations and weights of known Keras layers; none of it runs."""
