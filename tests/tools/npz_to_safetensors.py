"""An .npz archive comes in, a safetensors file with the same arrays goes out. Standard library only, so that tests need no numpy.

usage: npz_to_safetensors.py IN.npz OUT.safetensors
"""
import ast
import json
import struct
import sys
import zipfile

DTYPES = {"<f4": "F32", "<f8": "F64", "<i4": "I32", "<i8": "I64", "|u1": "U8"}


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


def convert_to_f32(descr, raw):
    """Integers and doubles become what the library reads: U32 and F32."""
    if descr in ("<i4", "<i8"):
        count = len(raw) // (4 if descr == "<i4" else 8)
        values = struct.unpack(f"<{count}{'i' if descr == '<i4' else 'q'}", raw)
        return "U32", struct.pack(f"<{count}I", *values)
    if descr == "<f8":
        count = len(raw) // 8
        return "F32", struct.pack(f"<{count}f", *struct.unpack(f"<{count}d", raw))
    return DTYPES[descr], raw


def main():
    tensors, blobs, at = {}, [], 0
    with zipfile.ZipFile(sys.argv[1]) as archive:
        for entry in archive.namelist():
            descr, shape, raw = read_npy(archive.read(entry))
            dtype, raw = convert_to_f32(descr, raw)
            tensors[entry.removesuffix(".npy")] = {"dtype": dtype, "shape": shape or [1], "data_offsets": [at, at + len(raw)]}
            blobs.append(raw)
            at += len(raw)
    header = json.dumps(tensors).encode()
    header += b" " * (-len(header) % 8)
    with open(sys.argv[2], "wb") as out:
        out.write(struct.pack("<Q", len(header)) + header + b"".join(blobs))


main()
