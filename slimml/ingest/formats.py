"""What a file is, told from its first bytes: names for what is not read, so that the message can say it."""

from __future__ import annotations

from slimml.errors import CorruptInputError, UnknownFormatError

_SAVE_AGAIN = "Save the fitted model with joblib.dump or pickle.dump and use that file."
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a compiled program"),
    (b"MZ", "a Windows program"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras, PyTables)"),
    (b"\x93NUMPY", "a NumPy array (.npy), not a model"),
    (b"PAR1", "a Parquet table, not a model"),
    (b"ARROW1", "an Arrow table, not a model"),
    (b"FEA1", "a Feather table, not a model"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"CBM1", "a CatBoost model"),
    (b"RDX", "an R data file"),
    (b"ZF0x", "a joblib dump older than 0.10"),
    (b"\x28\xb5\x2f\xfd", "Zstandard-compressed data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
)
_TEXT = (
    (b"<!doctype html", "an HTML page", "It is probably a saved error page: download the model again."),
    (b"<html", "an HTML page", "It is probably a saved error page: download the model again."),
    (b"<?xml", "an XML file (PMML?)", _SAVE_AGAIN),
    (b"<pmml", "a PMML file", _SAVE_AGAIN),
    (b"#!", "a script", _SAVE_AGAIN),
)


def refuse_known(head: bytes, size: int) -> None:
    """Raise UnknownFormatError where the content is of a kind that is known and not read; else return."""
    if size == 0:
        raise CorruptInputError("the file is empty", hint="Copy or download it again.")
    if head.startswith(b"version https://git-lfs.github.com/"):
        raise UnknownFormatError(
            "a Git LFS pointer, not the file itself", hint="Run `git lfs pull` where the file was checked out."
        )
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise UnknownFormatError(what, hint=_SAVE_AGAIN)
    if head[257:262] == b"ustar":
        raise UnknownFormatError("a tar archive", hint="Unpack it and name the model file in it.")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for start, what, hint in _TEXT:
        if text[: len(start)].lower() == start:
            raise UnknownFormatError(what, hint=hint)
    _refuse_model_formats(head, text)


def _refuse_model_formats(head: bytes, text: bytes) -> None:
    if text[:1] == b"{" or text[:2] in (b'["', b"[{", b"[[", b"[\n"):
        raise UnknownFormatError("a JSON document", hint=_SAVE_AGAIN)
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 27:
        raise UnknownFormatError("a safetensors file", hint=_SAVE_AGAIN)


def may_be_pickle(head: bytes) -> bool:
    """Whether a pickle can begin so: PROTO, or an instruction that protocols 0 and 1 start with."""
    return head[:1] == b"\x80" or head[:1] in {bytes([c]) for c in b"(c]})lNISVLFKMJGUTXi\x88\x89"}


def is_text(head: bytes) -> bool:
    """Whether this is text a person would read: printable, with no control characters."""
    try:
        text = head[:512].decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return False
    return bool(text) and sum(c.isprintable() or c in "\r\n\t" for c in text) == len(text) and b"\x00" not in head[:512]


def unknown(head: bytes) -> UnknownFormatError:
    """The error for a file of no known kind."""
    if is_text(head):
        first = head.split(b"\n", 1)[0][:60].decode("utf-8", "replace").strip()
        return UnknownFormatError(f"a text file, not a model; it begins with {first!r}", hint=_SAVE_AGAIN)
    return UnknownFormatError(f"no format that is known; it begins with bytes {head[:8].hex(' ')}", hint=_SAVE_AGAIN)
