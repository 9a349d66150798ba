"""A model between two others: each weight lies where alpha says, and RL starts from it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.errors import Permanent
from tasks.interpolate.config import InterpolateConfig
from tasks.interpolate.task import write_between
from tasks.interpolate.weights import interpolate
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.stage.plan import planning
from tasks.spine.store.runtime import Runtime
from tests.support.random_model import save_random_model
from tests.support.small_world import NumberOf, World, make
from tests.support.small_world import world as world


def stored(folder: Path, seed: int, dtype: torch.dtype, shard: str) -> Path:
    """A random model in the type and in files of that size."""
    model = AutoModelForCausalLM.from_pretrained(save_random_model(folder, seed=seed))
    (folder / "model.safetensors").unlink()
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    return folder


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_weight_lies_between_those_of_the_two_models_and_is_rounded_once(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    base = stored(tmp_path / "base", 0, dtype, "1GB")
    model = stored(tmp_path / "model", 1, dtype, "50KB")
    (model / "training.jsonl").write_text("of the training\n")
    seen: list[tuple[int, int]] = []
    weights = interpolate(base, model, tmp_path / "out", 0.25, progress=lambda *counts: seen.append(counts))
    start, end, between = tensors(base), tensors(model), tensors(tmp_path / "out")
    assert len(weights.files) > 1
    assert set(between) == set(start) == set(end)
    for name, found in between.items():
        exact = 0.75 * start[name].double() + 0.25 * end[name].double()
        assert found.dtype == dtype
        torch.testing.assert_close(found, exact.to(dtype), atol=1e-7, rtol=torch.finfo(dtype).eps, msg=name)
        assert not torch.equal(found, start[name]) or torch.equal(start[name], end[name])
    assert seen[-1] == (len(between), len(between))
    assert not (tmp_path / "out" / "training.jsonl").exists()
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=dtype)
    name, own = next(iter(loaded.named_parameters()))
    assert torch.equal(own, between[name])
    assert len(AutoTokenizer.from_pretrained(tmp_path / "out")) == len(AutoTokenizer.from_pretrained(model))


def narrower(folder: Path, weights: dict[str, Any]) -> None:
    weights["model.norm.weight"] = weights["model.norm.weight"][:-1].clone()


def without_norm(folder: Path, weights: dict[str, Any]) -> None:
    del weights["model.norm.weight"]


def in_half(folder: Path, weights: dict[str, Any]) -> None:
    weights["model.norm.weight"] = weights["model.norm.weight"].half()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (narrower, r"differ in shape or type: model\.norm\.weight \(F32 \[48\] and F32 \[47\]\)"),
        (in_half, r"differ in shape or type: model\.norm\.weight \(F32 \[48\] and F16 \[48\]\)"),
        (without_norm, r"has no tensor model\.norm\.weight of .*model; interpolate two models of one architecture"),
    ],
)
def test_models_that_do_not_match_are_refused_with_the_tensor(spoil: Any, message: str, tmp_path: Path) -> None:
    base, model = save_random_model(tmp_path / "base"), save_random_model(tmp_path / "model")
    weights = load_file(base / "model.safetensors")
    spoil(base, weights)
    save_file(weights, base / "model.safetensors")
    with pytest.raises(Permanent, match=message):
        interpolate(base, model, tmp_path / "out", 0.5)
    assert not (tmp_path / "out").exists()


def test_weights_that_have_no_average_are_refused(tmp_path: Path) -> None:
    folders = [save_random_model(tmp_path / name) for name in ("base", "model")]
    for folder in folders:
        weights = load_file(folder / "model.safetensors")
        save_file({**weights, "steps": torch.zeros(2, dtype=torch.int64)}, folder / "model.safetensors")
    with pytest.raises(Permanent, match=r"no average of steps \(I64\); types that have one: F64, F32, F16, BF16"):
        interpolate(*folders, tmp_path / "out", 0.5)


def test_the_stage_makes_a_model_of_its_own_whose_parents_are_both(world: World, tmp_path: Path) -> None:
    trained = make("midtrain", "model", other_model, NumberOf(count=1))
    halves = [
        write_between(InterpolateConfig(alpha=alpha), Runtime(), base=world.model, model=trained)
        for alpha in (0.5, 0.9, 0.5)
    ]
    assert halves[0] == halves[2] != halves[1]
    manifest = world.store.manifest(halves[0])
    assert manifest.parents == {"base": world.model, "model": trained}
    assert manifest.rows["parameters"] == sum(map(torch.numel, tensors(world.store.local(halves[0])).values()))
    start, end = (tensors(world.store.local(ref)) for ref in (world.model, trained))
    name = next(iter(start))
    torch.testing.assert_close(tensors(world.store.local(halves[0]))[name], (start[name] + end[name]) / 2)


def other_model(build: Any, config: NumberOf) -> None:
    """Twice the weights of the small world's model."""
    from tests.support.paths import TINY_MODEL

    for path in TINY_MODEL.iterdir():
        (build.out / path.name).write_bytes(path.read_bytes())
    doubled = {name: 2 * tensor for name, tensor in load_file(TINY_MODEL / "model.safetensors").items()}
    save_file(doubled, build.out / "model.safetensors", metadata={"format": "pt"})


def test_an_arm_starts_rl_from_between_and_trains_nothing_more(tmp_path: Path) -> None:
    from flows.polya import polya

    star = {"generate.heuristics": "plain", "dataset.variants": 1}
    arms = {
        "star": {"label": "RL from STaR", "overrides": star},
        "half": {"label": "RL from half of STaR", "against": "star", "overrides": {**star, "interpolate.alpha": 0.5}},
    }
    with planning(None) as plan:
        polya.fn(recipe="tiny-cpu", overrides={"arms": arms})
    rows = {arm: {row.stage: row for row in plan.rows if row.arm == arm} for arm in arms}
    assert rows["star"]["midtrain"].ref == rows["half"]["midtrain"].ref
    assert "interpolate" not in rows["star"]
    assert isinstance(rows["half"]["interpolate"].context, PolyaRecipe)
    assert rows["star"]["rl"].ref != rows["half"]["rl"].ref
    # Base, both checkpoints of both arms: what lies between is measured too.
    assert len({row.ref for row in plan.rows if row.stage == "evaluate"}) == 5
