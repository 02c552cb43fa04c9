#!/usr/bin/env python3
"""Turns published data into the formats smlc reads. Python 3 alone; numpy and torch are not needed.

    convert.py torch  FILE.pth OUT.safetensors      a torch state_dict (zip or legacy format)
    convert.py digits mnist_5k.csv.gz OUT_DIR       1,000 digits, 100 of each, as IDX
    convert.py csv    mnist_5k.csv.gz OUT_DIR       all rows, as IDX
    convert.py mnist  mnist.pkl.gz OUT_DIR          the pickled MNIST (float = byte / 256), as IDX

Pickles are read by an unpickler that knows a handful of names and refuses every other, so no code of theirs runs.
"""

import array
import gzip
import hashlib
import io
import json
import math
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

# torch storage class -> (safetensors dtype, bytes an element)
STORAGES = {
    "DoubleStorage": ("F64", 8), "FloatStorage": ("F32", 4), "HalfStorage": ("F16", 2), "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8), "IntStorage": ("I32", 4), "ShortStorage": ("I16", 2), "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1), "BoolStorage": ("BOOL", 1),
}


class Tensor:
    """A view of a storage: filled in when the state_dict is unpickled."""

    def __init__(self, storage, offset, shape, strides):
        self.dtype, self.width, self.key = storage
        self.offset, self.shape, self.strides = offset, tuple(shape), tuple(strides)

    def bytes(self, raw):
        """The elements in row-major order, from the storage's bytes."""
        dense, step = [], 1
        for size in reversed(self.shape):
            dense.append(step)
            step *= size
        if tuple(reversed(dense)) != self.strides:
            raise ValueError(f"strides {self.strides} of shape {self.shape} are not row-major")
        start = self.offset * self.width
        end = start + math.prod(self.shape) * self.width
        if end > len(raw):
            raise ValueError(f"storage {self.key} has {len(raw)} bytes, the tensor ends at {end}")
        return raw[start:end]


class TorchUnpickler(pickle.Unpickler):
    """Reads a state_dict and nothing else."""

    def find_class(self, module, name):
        if module == "torch" and name in STORAGES:
            return name
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: Tensor(storage, offset, shape, strides)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        raise pickle.UnpicklingError(f"refused: {module}.{name}")

    def persistent_load(self, pid):
        dtype, width = STORAGES[pid[1]]
        return dtype, width, pid[2]


def read_zip(path):
    """A state_dict in torch's zip format: names to (tensor, bytes)."""
    with zipfile.ZipFile(path) as archive:
        pickled = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
        root = pickled.removesuffix("data.pkl")
        if root + "byteorder" in archive.namelist() and archive.read(root + "byteorder") != b"little":
            raise ValueError("only little-endian storages")
        state = TorchUnpickler(io.BytesIO(archive.read(pickled))).load()
        return {n: (t, t.bytes(archive.read(f"{root}data/{t.key}"))) for n, t in state.items()}


def read_legacy(path):
    """A state_dict in the format before torch 1.6: four pickles, a list of keys, then the storages."""
    with open(path, "rb") as f:
        magic, _protocol, _system = (TorchUnpickler(f).load() for _ in range(3))
        if magic != 0x1950A86A20F9469CFC6C:
            raise ValueError("not a torch file")
        state = TorchUnpickler(f).load()
        widths = {t.key: t.width for t in state.values()}
        raw = {}
        for key in TorchUnpickler(f).load():
            (count,) = struct.unpack("<q", f.read(8))
            raw[key] = f.read(count * widths[key])
        return {n: (t, t.bytes(raw[t.key])) for n, t in state.items()}


def write_safetensors(path, tensors):
    """Header and data in the order of `tensors`, the header padded to eight bytes."""
    header, offset = {}, 0
    for name, (tensor, data) in tensors.items():
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, data in tensors.values()))


def torch(source, target):
    read = read_zip if zipfile.is_zipfile(source) else read_legacy
    write_safetensors(target, read(source))


def write_idx(path, shape, data):
    """Unsigned bytes in the IDX format, compressed; no time or name in the gzip header."""
    header = struct.pack(">BBBB", 0, 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as f:
        f.write(header + data)


def write_pair(folder, prefix, rows):
    folder.mkdir(parents=True, exist_ok=True)
    write_idx(folder / f"{prefix}images.idx.gz", (len(rows), 28, 28), b"".join(pixels for pixels, _ in rows))
    write_idx(folder / f"{prefix}labels.idx.gz", (len(rows),), bytes(label for _, label in rows))


def read_csv(path):
    """Rows of 784 pixels and a label."""
    with gzip.open(path, "rt") as f:
        rows = [bytes(int(float(v)) for v in line.split(",")) for line in f]
    return [(row[:784], row[784]) for row in rows]


def csv(source, folder):
    write_pair(folder, "", read_csv(source))


def digits(source, folder):
    """The 100 images of each digit whose SHA-256 is smallest, in the order of the hash: balanced and shuffled."""
    chosen, taken = [], [0] * 10
    for pixels, label in sorted(read_csv(source), key=lambda row: hashlib.sha256(row[0]).digest()):
        if taken[label] < 100:
            taken[label] += 1
            chosen.append((pixels, label))
    write_pair(folder, "", chosen)


class ArrayUnpickler(pickle.Unpickler):
    """Reads numpy arrays as (element type, shape, raw bytes)."""

    class Array:
        def __setstate__(self, state):
            _version, self.shape, self.dtype, _fortran, self.raw = state

    class Type:
        def __init__(self, code, *_):
            self.code = code

        def __setstate__(self, state):
            self.order = state[1]

    def find_class(self, module, name):
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return lambda *_: self.Array()
        if (module, name) == ("numpy", "ndarray"):
            return self.Array
        if (module, name) == ("numpy", "dtype"):
            return self.Type
        if (module, name) == ("_codecs", "encode"):
            return lambda text, _encoding: text.encode("latin1")
        raise pickle.UnpicklingError(f"refused: {module}.{name}")


def mnist(source, folder):
    with gzip.open(source) as f:
        parts = ArrayUnpickler(f, encoding="latin1").load()
    for name, (images, labels) in zip(("train-", "valid-", "test-"), parts, strict=True):
        raw = [a.raw.encode("latin1") if isinstance(a.raw, str) else a.raw for a in (images, labels)]
        pixels = bytes(int(v * 256) for v in array.array("f", raw[0]))
        numbers = array.array("q", raw[1])
        write_pair(folder, name, [(pixels[i * 784:(i + 1) * 784], label) for i, label in enumerate(numbers)])


def main():
    commands = {"torch": torch, "digits": digits, "csv": csv, "mnist": mnist}
    if len(sys.argv) != 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))


if __name__ == "__main__":
    main()
