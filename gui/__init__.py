"""GoodNet's window. Imports the engine, never TensorFlow: the first task loads it in the worker thread."""
