"""What a sandbox might send over the pipe instead of an honest reply."""

import json
import struct

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def announced(header, blobs=()):
    """Return a reply as it stands, its announced lengths true or not."""
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + b"".join(blobs)
