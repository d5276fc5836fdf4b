"""Model files: one uncompressed ``.npz`` container with a JSON header. Nothing is ever pickled.

``numpy.load`` opens such a file too. Every array starts at a multiple of 64 bytes, so that it can be mapped. Strings of
variable width, which no ``.npy`` file can hold, are two arrays: all of them in UTF-8, and where each one ends.
"""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from itertools import pairwise
from secrets import token_hex
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

FORMAT = "pyrec_core"
FORMAT_VERSION = 1
HEADER = "header.json"
_ALIGN = 64
_LOCAL_HEADER = 30  # bytes of a zip member's header before its name
_ZIP64_EXTRA = 20  # what zipfile adds with force_zip64
_PADDING_ID = 0xD935  # the id that zipalign uses for padding
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError)


def save(path: str | os.PathLike[str], header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``header`` and ``arrays`` to exactly ``path``: all of it or nothing.

    The data go to a temporary file in the same folder, which then takes the place of ``path``.

    Parameters
    ----------
    path : str or path-like
        No suffix is added.
    header : mapping
        JSON values, tuples and NumPy scalars. Format, its version, the package's version and the names of the
        arrays are added.
    arrays : mapping of str to numpy.ndarray
        Any dtype but object; of ``StringDType`` 1-D arrays without missing strings.

    Raises
    ------
    TypeError
        A header value or an array that the format cannot hold.
    """
    path = os.fspath(path)
    texts = [name for name, array in arrays.items() if array.dtype.kind == "T"]
    arrays = {part: plain for name, array in arrays.items() for part, plain in _plain(name, array).items()}
    whole = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "package_version": version("pyrec_core"),
        "arrays": sorted(arrays),
        **({"texts": texts} if texts else {}),
        **header,
    }
    text = json.dumps(_encode(whole), indent=1).encode()
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} must have a plain dtype to be saved, got {array.dtype}")
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(zipfile.ZipInfo(HEADER), text)
                for name, array in arrays.items():
                    _write_array(archive, file, name, array)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too leaves no half-written file behind
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def load(path: str | os.PathLike[str], mmap: bool = False) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `save` wrote.

    Parameters
    ----------
    path : str or path-like
    mmap : bool
        Map the arrays (read-only) instead of reading them. The checksums of mapped arrays are not verified.

    Returns
    -------
    header : dict
    arrays : dict of str to numpy.ndarray

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged, is no model file, is of a newer format, or lacks arrays.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        if file.read(4) != b"PK\x03\x04":
            raise ValueError(f"path must name a {FORMAT} file, got {path!r}, which is not a zip container")
        try:
            with zipfile.ZipFile(file) as archive:
                members = {info.filename: info for info in archive.infolist()}
                text = archive.read(HEADER) if HEADER in members else None
                header = _check_header(path, text)
                missing = [name for name in header["arrays"] if f"{name}.npy" not in members]
                if missing:
                    names = ", ".join(missing)
                    raise _FileError(f"path must name a complete file, got {path!r}, which lacks {names}")
                found = {name: members[f"{name}.npy"] for name in header["arrays"]}
                arrays = {name: _read_array(archive, file, info, mmap) for name, info in found.items()}
                for name in header.pop("texts", ()):
                    arrays[name] = _text(arrays.pop(f"{name}.utf8"), arrays.pop(f"{name}.ends"))
        except _FileError as error:
            raise ValueError(str(error)) from None
        except (*_ZIP_ERRORS, ValueError, KeyError) as error:
            message = f"path must name a whole file, got {path!r}, which is truncated or damaged: {error}"
            raise ValueError(message) from None
    return header, arrays


class _FileError(Exception):
    """A whole file that is not what we want, told apart from a damaged one."""


def _check_header(path: str, text: bytes | None) -> dict[str, Any]:
    foreign = _FileError(f"path must name a {FORMAT} file, got {path!r}, a zip container of another program")
    if text is None:
        raise foreign
    header = _decode(json.loads(text))
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise foreign
    if header["format_version"] > FORMAT_VERSION:
        raise _FileError(
            f"path must name a file of format version <= {FORMAT_VERSION} (this is {FORMAT} "
            f"{version('pyrec_core')}), got {path!r} of format version {header['format_version']}, "
            f"written by {FORMAT} {header.get('package_version')}"
        )
    return header


def _encode(value: Any) -> Any:
    """JSON has no tuples, and ``json`` knows no NumPy scalars."""
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {"__tuple__": [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, np.generic):
        return _encode(value.item())
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"header must hold JSON values, tuples and NumPy scalars, got {value!r}")


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"__tuple__"}:
            return tuple(_decode(item) for item in value["__tuple__"])
        return {key: _decode(item) for key, item in value.items()}
    return [_decode(item) for item in value] if isinstance(value, list) else value


def _plain(name: str, array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the arrays that are written for one array: strings of variable width become two."""
    if array.dtype.kind != "T":
        return {name: array}
    strings = array.tolist()
    if array.ndim != 1 or not all(isinstance(string, str) for string in strings):
        raise TypeError(f"{name} must be 1-D without missing strings to be saved, got shape {array.shape}")
    encoded = [string.encode() for string in strings]
    ends = np.cumsum([len(string) for string in encoded], dtype=np.int64)
    return {f"{name}.utf8": np.frombuffer(b"".join(encoded), np.uint8), f"{name}.ends": ends}


def _text(utf8: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[Any]:
    """Return the strings that `_plain` took apart; damage ends in other strings or a ``ValueError``."""
    whole, bounds = utf8.tobytes(), [0, *ends.tolist()]
    if bounds != sorted(bounds) or bounds[-1] != len(whole):
        raise ValueError("strings do not end where they should")
    strings = [whole[start:stop].decode() for start, stop in pairwise(bounds)]
    return np.array(strings, np.dtypes.StringDType())


def _write_array(archive: zipfile.ZipFile, file: BinaryIO, name: str, array: NDArray[Any]) -> None:
    info = zipfile.ZipInfo(f"{name}.npy")
    start = file.tell() + _LOCAL_HEADER + len(info.filename.encode()) + _ZIP64_EXTRA + 4
    padding = -start % _ALIGN  # an .npy header fills whole blocks of 64 bytes itself
    info.extra = struct.pack("<HH", _PADDING_ID, padding) + bytes(padding)
    with archive.open(info, "w", force_zip64=True) as member:
        npy.write_array(member, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)


def _read_array(archive: zipfile.ZipFile, file: BinaryIO, info: zipfile.ZipInfo, mmap: bool) -> NDArray[Any]:
    member: Any  # a ZipExtFile, which typeshed hides
    with archive.open(info) as member:
        if npy.read_magic(member) != (1, 0):
            raise ValueError(f"{info.filename} is not an array of version 1.0")
        shape, fortran_order, dtype = npy.read_array_header_1_0(member)
        header_size = member.tell()
        size = dtype.itemsize * int(np.prod([int(n) for n in shape], dtype=object))
        if fortran_order or dtype.hasobject or header_size + size != info.file_size:
            raise ValueError(f"{info.filename} has a header that does not fit its data")
        if mmap and size and info.compress_type == zipfile.ZIP_STORED:
            offset = _data_offset(file, info) + header_size
            return np.memmap(file, dtype=dtype, mode="r", offset=offset, shape=shape)
        array = np.empty(shape, dtype)
        buffer = array.reshape(-1).view(np.uint8).data if size else memoryview(b"")
        done = 0
        while done < size:
            read = member.readinto(buffer[done:])
            if not read:
                raise EOFError(f"{info.filename} ends after {done} of {size} bytes")
            done += read
        member.read(1)  # reaching the end makes zipfile compare the checksum, also of an empty array
        return array


def _data_offset(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    file.seek(info.header_offset)
    name_length, extra_length = struct.unpack("<HH", file.read(_LOCAL_HEADER)[26:])
    return int(info.header_offset) + _LOCAL_HEADER + int(name_length) + int(extra_length)
