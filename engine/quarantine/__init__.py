"""Strangers' files are opened by a process that has nothing to lose, and come out of it as plain values.

**Why.** HDF5, zlib and Pillow are written in C, and files that were made to harm get past every check in front of them.
So nothing here tells good files from bad ones: whatever a file does, it does it to the reader, a small process without
window, TensorFlow, network or the user's data, which the system holds to 2 GB of memory, 10 s of processor time a
request, 256 open files and no byte written (`limits`; on Windows a job object holds memory and processes). It is
started at the first need, kept warm, and started anew when it died.

**This side** (`client`). Any thread asks; a lock lets one request through at a time, for as long as one piece is read.
An answer is announced before it comes: JSON values, then the type and shape of each array. Nothing is allocated before
both were found plain and within what the caller was ready to take, and what arrives is checked again by the caller.
A reader that crashes, breaks these rules or says nothing for 10 s is killed, and the caller gets one sentence that
names the file; the next request starts a new one. Who computes isn't silent, where the system says so (Linux): that
is what the limit of processor time is for. Cancel in the window kills a reader that is busy. What is interrupted
half-way (Ctrl-C) ends the reader, too, because its answer would be taken for the next one's. A fork leaves the parent's
reader to the parent. At exit the reader's pipe is closed and it ends; it does so as well when this process is killed,
because its pipe is closed then, too.

**That side** (`engine.reader`, the floor above everything, since it calls what parses data sets, models and pictures).
Its main loop answers requests from a table. Those parsers run nowhere else: a contract in pyproject.toml says so. A
stream is a file that stays open between requests, so that compressed blocks are unpacked once and archives are read in
one go; each request names all that is needed to open it anew, so a stream outlives its reader.

**The wire** (`wire`). Two pipes with frames, four bytes of length, then JSON; nothing is unpickled, no socket opened.
Arrays go through a piece of memory that both sides share, 4 MB at a time, and are copied out of it before anybody looks
at them: the reader can't change them afterwards, nor cut the memory off under this process, which reads it like a file.

**Why not a parser in Python alone.** pyfive 1.3 reads the lab's files as fast as the HDF5 library and meets circles and
short blocks with exceptions. It unpacks what is compressed twice without end, and knows neither the newest layout nor
bzip2, LZ4, Zstd, Bitshuffle and Blosc: it would stand beside the library, not in its place, and pictures, archives and
ONNX need the process all the same.

**What it doesn't do.** A reader that a file has taken over may lie about the values in files read after it, within
their declared shapes; and it can read what this user can read.
"""
