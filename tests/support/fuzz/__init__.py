"""Damaged files of every format, by the thousand: see `python -m tests.support.fuzz --help`.

`samples` makes sound files. `mutations` damages them anywhere, or one value or header field at a time; `structures`
rewrites the fields of binary formats, which `hdf5_structures`, `picture_structures` and `onnx_structures` find.
`reading` has them read as the engine, the command line and the window do; `formats` is the table of all this.
"""
