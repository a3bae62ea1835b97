"""The command-line twin of the window: parse, ask the engine, print."""
