"""Data sets in the files of other programs, parsed. Runs in the reader's process only, see engine.quarantine.

Each module gives a description (type, shape and labels, or the places of pictures and their labels) and a stream.
"""
