"""An .npz archive comes in, a safetensors file with the same arrays goes out. Standard library only, so that tests need no numpy.

usage: npz_to_safetensors.py IN.npz OUT.safetensors
"""
import ast
import json
import struct
import sys
import zipfile

DTYPES = {"<f4": "F32", "<u4": "U32"}


def read_npy(data):
    """(dtype, shape, bytes) of one .npy file (numpy's format, version 1 or 2)."""
    if data[:6] != b"\x93NUMPY":
        raise ValueError("not an .npy file")
    size_bytes = 2 if data[6] == 1 else 4
    size = int.from_bytes(data[8 : 8 + size_bytes], "little")
    header = ast.literal_eval(data[8 + size_bytes : 8 + size_bytes + size].decode("latin1"))
    shape, raw = list(header["shape"]), data[8 + size_bytes + size :]
    if header["fortran_order"] and len(shape) > 1:
        rows, cols = shape
        item = int(header["descr"][2:])
        cells = [raw[i : i + item] for i in range(0, len(raw), item)]
        raw = b"".join(cells[j * rows + i] for i in range(rows) for j in range(cols))
    return header["descr"], shape, raw


def convert(descr, shape, raw):
    """(dtype, shape, bytes) as the library reads them: integers become U32, doubles F32."""
    if descr in ("<i4", "<i8"):
        count = len(raw) // int(descr[2])
        values = struct.unpack(f"<{count}{'i' if descr == '<i4' else 'q'}", raw)
        return "U32", shape, struct.pack(f"<{count}I", *values)
    if descr == "<f8":
        count = len(raw) // 8
        return "F32", shape, struct.pack(f"<{count}f", *struct.unpack(f"<{count}d", raw))
    return DTYPES[descr], shape, raw


def write_safetensors(path, tensors):
    """tensors: {name: (dtype, shape, bytes)}, all of 4-byte elements."""
    header, at = {}, 0
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape or [1], "data_offsets": [at, at + len(raw)]}
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + b"".join(raw for _, _, raw in tensors.values()))


def main():
    with zipfile.ZipFile(sys.argv[1]) as archive:
        tensors = {entry.removesuffix(".npy"): convert(*read_npy(archive.read(entry))) for entry in archive.namelist()}
    write_safetensors(sys.argv[2], tensors)


if __name__ == "__main__":
    main()
