"""Sources on S3 and on the web, over HTTP: every format as on this machine, plain and gzipped."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.shared.sources.errors import Record, SourceError
from tasks.shared.sources.files import SourceFiles
from tasks.texts.plain import TEXT_ENDINGS, TEXT_READERS
from tests.support.web_server import serve_files

ROWS = [{"text": f"né {index}"} for index in range(50)]


def encoded() -> dict[str, bytes]:
    """The rows in every format by the name of a file, gzipped as well."""
    table, cells = io.BytesIO(), io.StringIO()
    pq.write_table(pa.Table.from_pylist(ROWS), table)
    writer = csv.DictWriter(cells, ["text"])
    writer.writeheader()
    writer.writerows(ROWS)
    plain = {
        "rows.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
        "rows.json": json.dumps(ROWS).encode(),
        "rows.csv": cells.getvalue().encode(),
        "rows.parquet": table.getvalue(),
        "rows.txt": "".join(row["text"] + "\n" for row in ROWS).encode(),
    }
    return plain | {f"{name}.gz": gzip.compress(data) for name, data in plain.items()}


FILES = encoded()


def files_at(source: str, format: str = "auto") -> SourceFiles:
    if format == "auto" and ".txt" in source:
        format = "lines"
    return SourceFiles(source, "texts", "'tiny'", TEXT_ENDINGS, format=format)


def rows_at(source: str) -> list[dict[str, str]]:
    files = files_at(source)
    return [item.row for item in files.read(files.digest(), TEXT_READERS) if isinstance(item, Record)]


@pytest.fixture
def bucket(s3_bucket: str) -> str:
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    for name, data in {**FILES, ".cache/rows.jsonl": b"hidden", "sets[v2]/rows.jsonl": FILES["rows.jsonl"]}.items():
        files.pipe(f"{s3_bucket}/intake/{name}", data)
    type(files).clear_instance_cache()
    return f"s3://{s3_bucket}/intake"


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    more = {"page.jsonl": b"<!doctype html><p>not found"}
    with serve_files(FILES | more) as address:
        yield address


def test_every_format_is_read_from_s3_as_from_this_machine(bucket: str, tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        assert rows_at(f"{bucket}/{name}") == ROWS, name
        assert files_at(f"{bucket}/{name}").digest() == files_at(str(tmp_path / name)).digest()


def test_folders_and_patterns_of_s3_pass_hidden_names_over_and_take_existing_ones_literally(bucket: str) -> None:
    assert rows_at(f"{bucket}/sets[v2]/rows.jsonl") == ROWS
    assert rows_at(f"{bucket}/sets[v2]/*.jsonl") == ROWS
    assert rows_at(f"{bucket}/sets[v2]") == ROWS
    names = sorted(path.rpartition("/")[2] for path in files_at(f"{bucket}/**", "jsonl").paths)
    assert names == sorted([*FILES, "rows.jsonl"])
    with pytest.raises(SourceError, match="several formats"):
        files_at(bucket)


@pytest.mark.parametrize("manner", ["plain", "crumbs"])
@pytest.mark.parametrize("name", FILES)
def test_every_format_is_read_from_web_servers_that_cannot_seek(site: str, manner: str, name: str) -> None:
    assert rows_at(f"{site}/{manner}/{name}?download=true") == ROWS


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv.gz", "rows.txt", "rows.parquet"])
def test_a_file_comes_over_the_network_once_for_its_rows_and_their_digest(
    bucket: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_at(f"{bucket}/{name}")
    digest, opened, really_open = files.digest(), [], files._fs.open
    monkeypatch.setattr(files._fs, "open", lambda *args, **kwargs: opened.append(args) or really_open(*args, **kwargs))
    assert len([*files.read(digest, TEXT_READERS)]) == len(ROWS)
    assert len(opened) == 1
    with pytest.raises(SourceError, match="changed while it was read"):
        list(files.read("sha256:another", TEXT_READERS))


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("404/rows.jsonl", SourceError, "rows.jsonl' cannot be read .*404"),
        ("403/rows.jsonl", SourceError, "cannot be read .*403"),
        ("500/rows.jsonl", SourceError, "cannot be read .*500"),
        ("cut/rows.jsonl", OSError, "could not be read .*run again"),
        ("cut/rows.parquet", OSError, "could not be read .*run again"),
        ("plain/page.jsonl", SourceError, "page.jsonl: is a web page"),
    ],
)
def test_what_a_web_server_does_not_send_is_said(site: str, place: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        rows_at(f"{site}/{place}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://127.0.0.1:9/rows.jsonl", "cannot be read .*127.0.0.1:9"),
        ("http://[bad/rows.jsonl", "cannot be read"),
        ("foo://a/rows.jsonl", "no address that can be read .Protocol not known: foo"),
        ("simplecache::foo://a/rows.jsonl", "no address that can be read"),
        ("memory://nowhere/rows.jsonl", "no file with texts at"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_in_one_line(source: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        files_at(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("allowed", [None, "s3,http", ""])
def test_a_run_that_a_worker_starts_reads_only_what_the_worker_allows(
    site: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, allowed: str | None
) -> None:
    (tmp_path / "rows.jsonl").write_bytes(FILES["rows.jsonl"])
    chained = f"simplecache::{site}/plain/rows.jsonl"
    assert rows_at(f"{site}/plain/rows.jsonl") == rows_at(chained) == ROWS
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "a-run-of-a-worker")
    if allowed is not None:
        monkeypatch.setenv("MIDTRAIN_FORM_SOURCES", allowed)
    assert rows_at(str(tmp_path / "rows.jsonl")) == rows_at(f"file://{tmp_path}/rows.jsonl") == ROWS
    if allowed == "s3,http":
        assert rows_at(f"{site}/plain/rows.jsonl") == ROWS
    else:
        with pytest.raises(SourceError, match=r"http:// is not allowed for runs .* MIDTRAIN_FORM_SOURCES=.*http for"):
            files_at(f"{site}/plain/rows.jsonl")
    for source in (chained, f"dir::{site}/plain/rows.jsonl", "ftp://127.0.0.1/rows.jsonl", "HTTP://127.0.0.1/x.jsonl"):
        with pytest.raises(SourceError, match="is not allowed for runs that a worker starts"):
            files_at(source)
