"""Base models are known by their weights, and a wrong address says what to do."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tasks.errors import Permanent
from tasks.shared.models.causal_lm import check_architecture
from tasks.shared.models.config import EMBEDDED, EMBEDDED_OVERTHINK, EMBEDDED_THINK, ModelConfig
from tasks.shared.models.files import Incomplete
from tasks.shared.models.finite import check_finite
from tasks.shared.models.resolve import EMBEDDED_PATH, SHIPPED, resolve
from tasks.spine.store.digests import DigestMemory
from tasks.spine.store.settings import Settings
from tasks.tiny import MODEL_DIR, OVERTHINK_MODEL_DIR, THINK_MODEL_DIR
from tests.support.base_models import change_config, change_weights, shard


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_a_copied_model_is_the_same_and_a_changed_one_is_not(settings: Settings, tmp_path: Path) -> None:
    embedded = resolve(ModelConfig(), settings)
    copy = tmp_path / "copy"
    shutil.copytree(EMBEDDED_PATH, copy)
    assert resolve(ModelConfig(source=str(copy)), settings).digest == embedded.digest
    (copy / "README.md").write_text("another card")
    assert resolve(ModelConfig(source=str(copy)), settings).digest == embedded.digest
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert resolve(ModelConfig(source=str(copy)), settings).digest != embedded.digest


def test_all_models_of_the_small_world_come_with_the_package(settings: Settings) -> None:
    found = [resolve(ModelConfig(source=source), settings) for source in SHIPPED]
    assert [model.path for model in found] == [MODEL_DIR, THINK_MODEL_DIR, OVERTHINK_MODEL_DIR]
    assert [model.name for model in found] == [EMBEDDED, EMBEDDED_THINK, EMBEDDED_OVERTHINK]
    assert len({model.digest for model in found}) == 3
    assert len({model.parameters for model in found}) == 1


def test_weights_are_counted_from_their_headers(settings: Settings) -> None:
    assert resolve(ModelConfig(), settings).parameters == 935_040


def test_a_model_that_is_written_to_while_it_is_read_is_not_taken(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(EMBEDDED_PATH, tmp_path / "model"))

    class Busy(DigestMemory):
        def digests(self, files: Iterable[Path], *, again: bool = False) -> list[str]:
            found = super().digests(files, again=again)
            change_weights(folder, lambda weights: weights)
            return found

    monkeypatch.setattr("tasks.shared.models.resolve.digest_memory", Busy)
    with pytest.raises(Incomplete, match="changed while it was read"):
        resolve(ModelConfig(source=str(folder)), settings)


def test_weights_that_are_overwritten_with_their_size_and_time_kept_are_others(
    settings: Settings, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(EMBEDDED_PATH, tmp_path / "model"))
    file = folder / "model.safetensors"
    digests, stat = set(), file.stat()
    for last in (b"\x01", b"\x02", b"\x03"):
        file.write_bytes(file.read_bytes()[:-1] + last)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        digests.add(resolve(ModelConfig(source=str(folder)), settings).digest)
    assert len(digests) == 3


TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
EIGHT_BITS = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu]


@pytest.mark.parametrize("dtype", [*TYPES, *EIGHT_BITS])
def test_values_that_are_no_numbers_are_counted_in_every_type(dtype: torch.dtype, tmp_path: Path) -> None:
    bits = torch.arange(256, dtype=torch.uint8).repeat(8)
    values = bits.view(dtype) if dtype in EIGHT_BITS else bits.view(torch.int8).to(dtype)
    bad = int((~values.float().isfinite()).sum())
    if dtype in TYPES:
        values[[3, 700, 1500]] = torch.tensor([float("inf"), float("-inf"), float("nan")]).to(dtype)
        values[[5, 9]] = torch.tensor([torch.finfo(dtype).max, torch.finfo(dtype).min], dtype=torch.float64).to(dtype)
        bad = 3
    save_file({"whole": torch.arange(9), "some": values, "empty": values[:0]}, tmp_path / "a.safetensors")
    with pytest.raises(Permanent, match=rf"a\.safetensors holds {bad} values .* infinite: some \({bad}\); mend it"):
        check_finite(tmp_path / "a.safetensors", "mend it")
    if dtype in TYPES:
        save_file({"some": values[10:700].clone()}, tmp_path / "a.safetensors")
        check_finite(tmp_path / "a.safetensors", "mend it")


def test_weights_that_hold_no_numbers_are_refused_at_import_and_looked_at_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(EMBEDDED_PATH, tmp_path / "model"))
    embedding = "model.embed_tokens.weight"
    change_weights(folder, lambda weights: {**weights, embedding: weights[embedding].zero_()})
    resolve(ModelConfig(source=str(folder)), settings)
    assert caplog.messages == [
        f"{folder}/model.safetensors: 1 matrices are all zeros ({embedding}), as in a file whose download was cut; "
        "fetch it again unless the model is made that way"
    ]
    change_weights(folder, lambda weights: {**weights, "model.norm.weight": weights["model.norm.weight"] / 0})
    with pytest.raises(Permanent, match=r"model\.source=.*infinite: model\.norm\.weight \(\d+\); fetch it again, or"):
        resolve(ModelConfig(source=str(folder)), settings)
    whole = resolve(ModelConfig(), settings)
    monkeypatch.setattr("tasks.shared.models.resolve.check_finite", None)
    assert resolve(ModelConfig(), settings).digest == whole.digest


@pytest.mark.slow
def test_a_quantized_model_is_named_at_import_with_what_can_be_done_with_it(
    settings: Settings, random_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(random_model, tmp_path / "model"))
    change_config(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    resolve(ModelConfig(source=str(folder)), settings)
    assert f"{folder} is quantized (gptq): it can be sampled from and measured" in caplog.text
    assert "it cannot be trained" in caplog.text


@pytest.mark.slow
def test_weights_of_another_architecture_are_refused_at_import_until_the_config_is_mended(
    settings: Settings, random_model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(random_model, tmp_path / "model"))
    change_config(folder, num_hidden_layers=3)
    with pytest.raises(Permanent, match=r"model\.source='.*drawn at random\): model\.layers\.2\."):
        resolve(ModelConfig(source=str(folder)), settings)
    change_config(folder, num_hidden_layers=2)
    whole = resolve(ModelConfig(source=str(folder)), settings)
    shard(folder)
    assert resolve(ModelConfig(source=f"file://{folder}"), settings).parameters == whole.parameters
    assert len(list((settings.cache / "checked").iterdir())) == 1
    assert list(settings.work.iterdir()) == []


def test_models_that_come_with_the_package_can_be_loaded() -> None:
    for folder in SHIPPED.values():
        check_architecture(folder)


def test_a_missing_folder_is_named(settings: Settings) -> None:
    with pytest.raises(Permanent, match=r"model\.source='\./nowhere': no such folder"):
        resolve(ModelConfig(source="./nowhere"), settings)


def test_a_hub_that_cannot_be_reached_says_to_use_a_folder(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Permanent, match=r"set model\.source to a local folder"):
        resolve(ModelConfig(source="nobody/nothing"), settings)
