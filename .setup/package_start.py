"""Runs first in the packed program: puts empty modules where TensorFlow imports parts that are left out.

TensorFlow imports its converter for phones and its client for remote profilers at every start, with 40 MB of libraries.
Nothing here uses them; without them the program is smaller and TensorFlow loads faster.
"""

import logging
import sys
from types import ModuleType

# hdf5plugin complains of each compression that is left out.
logging.getLogger("hdf5plugin").setLevel(logging.CRITICAL)

for _name in ("tensorflow._api.v2.lite", "tensorflow._api.v2.compat.v1.lite", "tensorflow._api.v2.compat.v2.lite"):
    sys.modules[_name] = ModuleType(_name)

_client = ModuleType("tensorflow.python.profiler.profiler_client")
_client.monitor = _client.trace = None
sys.modules[_client.__name__] = _client
