"""Chapter 6.4: parameters and blob of a wrap by a TPM."""

from common import FormatError, Reader, number, raw, refuses, same


def read_parameters(data):
    reader = Reader(data)
    reader.version()
    name = reader.take(34, "SRK name")
    if name[:2] != b"\x00\x0b":
        raise FormatError("SRK name", 1, "UnknownAlgorithm")
    pin = reader.one_of("PIN", "Invalid", {0, 1})
    at = reader.at
    bank = reader.number(2, "PCR bank")
    if bank not in {0, 0x0B, 0x0C, 0x0D}:
        raise FormatError("PCR bank", at, "UnknownAlgorithm")
    at = reader.at
    mask = int.from_bytes(reader.take(3, "PCR mask"), "little")
    if (bank == 0) != (mask == 0):
        raise FormatError("PCR mask", at, "Invalid")
    if not pin and not bank:
        raise FormatError("PIN", 35, "Invalid")
    at = reader.at
    index = reader.number(4, "approval index")
    if not 0x01000000 <= index <= 0x01FFFFFF:
        raise FormatError("approval index", at, "Invalid")
    reader.end("wrap parameters")
    return {
        "srk_name": name.hex(),
        "pin": pin == 1,
        "pcr_bank": bank,
        "pcrs": [register for register in range(24) if mask >> register & 1],
        "approval_index": index,
    }


def write_parameters(vector):
    mask = sum(1 << register for register in vector["pcrs"])
    parts = [b"\x01", raw(vector, "srk_name"), number(vector["pin"], 1), number(vector["pcr_bank"], 2)]
    return b"".join(parts) + mask.to_bytes(3, "little") + number(vector["approval_index"], 4)


def read_blob(data):
    reader = Reader(data)
    reader.version()
    found = {}
    for half in ("public", "private"):
        at = reader.at
        length = reader.number(2, f"{half} area length")
        if not 1 <= length <= 1024:
            raise FormatError(f"{half} area length", at, "TooLong" if length else "Invalid")
        found[half] = reader.take(length, f"{half} area").hex()
    reader.end("wrap blob")
    return found


def write_blob(vector):
    return b"\x01" + b"".join(number(len(half), 2) + half for half in raw(vector, "public", "private"))


def check(vector):
    field = "parameters" if "parameters" in vector else "blob"
    read, write = (read_parameters, write_parameters) if field == "parameters" else (read_blob, write_blob)
    if "error" in vector:
        refuses(vector, lambda: read(raw(vector, field)))
        return
    for name, value in read(raw(vector, field)).items():
        same(value, vector[name], name)
    same(write(vector), vector[field], field)
