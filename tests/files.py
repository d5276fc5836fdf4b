"""Files for tests: small ones that a test writes, and real data in the folder that PYREC_DATA names."""

import gzip

import pytest


def write(path, text, compress=False):
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(content) if compress else content)
    return path


def real(data_dir, name):
    """The path of a data set, else the test is skipped."""
    path = data_dir / name
    if not path.exists():
        pytest.skip(f"PYREC_DATA has no {name}")
    return path
