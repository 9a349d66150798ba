"""Files that are something else than their name says, told by their first bytes."""

import codecs

HEAD_BYTES = 512
"""As much of a file as is looked at."""
_UTF_16 = "UTF-16 or UTF-32 text; convert it to UTF-8, e.g. with `iconv -f UTF-16 -t UTF-8`"
_PACKED = "a compressed file of a kind that is not read; unpack it, or compress it with gzip"
_PAGE = "a web page, perhaps an error or a login in place of the file; look at it and fetch the file again"
_BEGINNINGS = {
    codecs.BOM_UTF16_LE: _UTF_16,
    codecs.BOM_UTF16_BE: _UTF_16,
    codecs.BOM_UTF32_BE: _UTF_16,
    b"\x1f\x8b": "a gzip file inside a gzip file; unpack it once",
    b"PK\x03\x04": "a zip archive, as Excel's files are too; unpack it, or save the table as CSV",
    b"PK\x05\x06": "an empty zip archive",
    **{b"BZh%d1AY&SY" % level: _PACKED for level in range(1, 10)},
    b"\xfd7zXZ\0": _PACKED,
    b"\x28\xb5\x2f\xfd": _PACKED,
    b"\x04\x22\x4d\x18": _PACKED,
    b"7z\xbc\xaf": _PACKED,
    b"Rar!\x1a\x07": _PACKED,
    b"PAR1\x15": "a Parquet file; name it .parquet, or set format to parquet",
    b"PARE": "an encrypted Parquet file; decrypt it",
    b"ARROW1\0\0": "an Arrow file; write it as Parquet",
    b"Obj\x01": "an Avro file; write it as Parquet",
    b"\x89HDF": "an HDF5 file; write it as Parquet",
    b"SQLite format 3\0": "an SQLite database; export the table as CSV",
    b"\xd0\xcf\x11\xe0": "a file of old Excel; save the table as CSV",
    b"%PDF": "a PDF file; extract its text",
}
_TAR = (257, b"ustar")
_OF_LINES = ("jsonl", "csv", "tsv", "lines")
_PAGES = (b"<!doctype", b"<html", b"<?xml")


def foreign(head: bytes, format: str) -> str:
    """What a file that is to be read in `format` is instead, with the remedy; empty where nothing speaks against it.

    Args:
        head: the first `HEAD_BYTES` of the file, unzipped.
    """
    if head.startswith(b"version https://git-lfs.github.com"):
        return "a git-lfs pointer and not the file itself; fetch that with `git lfs pull`"
    if head.removeprefix(codecs.BOM_UTF8).lstrip()[:9].lower().startswith(_PAGES):
        return _PAGE
    for beginning, what in _BEGINNINGS.items():
        if head.startswith(beginning) and not (format == "parquet" and beginning.startswith(b"PAR1")):
            return what
    if head[_TAR[0] :].startswith(_TAR[1]):
        return "a tar archive; unpack it"
    if format != "parquet" and b"\0" in head[:4]:
        return _UTF_16
    if format in _OF_LINES and b"\r" in head[:-1] and b"\n" not in head:
        return "text whose lines end in carriage returns alone; convert them, e.g. with `tr '\\r' '\\n'`"
    return ""
