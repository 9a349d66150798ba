"""Links lead to pages that a browser can open, and to nothing where none is known."""

from pathlib import Path

import pytest

from tasks.spine.process import own_identity
from tasks.spine.store.settings import Settings
from tasks.spine.tracking.pages import SERVERS, mlflow_page, running_servers
from tests.support.ui_record import serves

PAGE = "/#/experiments/1/runs/abc?workflowType=machine_learning"


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_a_server_is_linked_to_without_its_credentials() -> None:
    settings = Settings(tracking_uri="https://me:secret@mlflow.example/base/")
    assert mlflow_page(settings, "abc", "1") == f"https://mlflow.example/base{PAGE}"


def test_the_page_for_browsers_goes_before_the_address_for_runs() -> None:
    settings = Settings(tracking_uri="http://mlflow:5000", tracking_page="http://localhost:5000")
    assert mlflow_page(settings, "abc", "1") == f"http://localhost:5000{PAGE}"
    assert mlflow_page(settings, "abc") == "http://localhost:5000/#/runs/abc?workflowType=machine_learning"


def test_a_database_is_linked_to_where_midtrain_ui_serves_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert mlflow_page(settings, "abc", "1") == ""
    serves(tmp_path)
    assert mlflow_page(settings, "abc", "1") == f"http://127.0.0.1:5999{PAGE}"


def test_other_data_and_servers_that_have_ended_are_not_linked_to(tmp_path: Path) -> None:
    serves(tmp_path, mlflow_uri="sqlite:////elsewhere/mlflow.db")
    assert mlflow_page(Settings(home=tmp_path), "abc", "1") == ""
    host, _, number = own_identity().partition(":")
    for ended in (f"{host}:{2**22 + 1}@0.00", f"{host}:{number.partition('@')[0]}@1.00"):
        serves(tmp_path, command=ended)
        assert mlflow_page(Settings(home=tmp_path), "abc", "1") == "", "the number may be that of another process now"


@pytest.mark.parametrize("content", ["", "{", "[]", "5", '{"pid": 5}', '{"command": 5}', "\x00\x00", "null"])
def test_a_record_that_cannot_be_read_is_said_and_not_used(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / SERVERS).write_text(content)
    assert running_servers(tmp_path) == {}
    assert str(tmp_path / SERVERS) in caplog.text


def test_a_password_is_no_part_of_what_is_shown(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, tracking_uri="postgresql://me:secret@host/mlflow")
    assert settings.mlflow_shown == "postgresql://***@host/mlflow"
    serves(tmp_path, mlflow_uri=settings.mlflow_shown)
    assert mlflow_page(settings, "abc", "1") == f"http://127.0.0.1:5999{PAGE}"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("MIDTRAIN_HOME", "", "MIDTRAIN_HOME is empty; unset it"),
        ("MIDTRAIN_HOME", "s3://bucket/home", "is an address, .* MIDTRAIN_STORE takes an address"),
        ("MIDTRAIN_HOME", "file:///data/home", "is an address"),
        ("MIDTRAIN_STORE", "s3:/bucket/x", "one slash behind its protocol; write two"),
        ("MIDTRAIN_STROE", "s3://bucket/x", "MIDTRAIN_STROE is no setting; did you mean MIDTRAIN_STORE"),
        ("MIDTRAIN_FORM_SOURCE", "http", "did you mean MIDTRAIN_FORM_SOURCES"),
        ("MIDTRAIN_S3_PATIENCE_S", "nan", "s3_patience_s\n.*finite number"),
    ],
)
def test_a_variable_that_would_lead_elsewhere_is_refused(
    name: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=why):
        Settings()


def test_variables_that_are_no_settings_are_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("NOTIFY", "GIT_URL", "COMMIT", "PROJECT", "ONLY", "WORKER", "DEPLOYMENT"):
        monkeypatch.setenv(f"MIDTRAIN_{name}", "x")
    (tmp_path / "a: b?%41").mkdir()
    assert Settings(home=tmp_path / "a: b?%41", store="c:d").root.is_dir()


@pytest.mark.parametrize("name", ["store", "results", "tracking_page"])
def test_a_password_in_an_address_that_is_kept_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\*\*\*@host") as refused:
        Settings(**{name: "https://me:secret@host/x"})
    assert "secret" not in str(refused.value)
