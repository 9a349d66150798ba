"""Rollouts by vLLM beside the trainer, on a CPU: one start of the engine serves all that is asked here."""

import json
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.shared.engines.tokens import load_tokenizer
from tasks.spine.stage.launch import run_worker
from tests.support.digit_guesser import save_guesser
from tests.support.rl_jobs import MakeJob

pytest.importorskip("vllm", reason="vLLM is not installed; install the extra 'cpu' or 'gpu'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_rollouts_follow_the_seed_and_a_run_whose_weights_do_not_reach_the_engine_stops(
    make_job: MakeJob, tmp_path: Path
) -> None:
    """On a CPU vLLM repacks its weights and takes no others, so the engine stays as it started."""
    (tmp_path / "wide").mkdir()
    wide = save_guesser(tmp_path / "wide", width=128)  # vLLM has no attention of narrower heads on a CPU
    settings = {"seed": 7, "steps": 40, "learning_rate": 1e-2, "max_sampler_gap": 0.02, "stop": ["2"]}
    job = make_job("run", **settings).model_copy(update={"model": wide})
    work = tmp_path / "run" / "w"
    with pytest.raises(Permanent, match=r"rl step \d+: .*rl.max_sampler_gap=0.02 .*may not reach the engine"):
        run_worker("tests.support.rl_with_vllm_on_cpu", job, work, timeout_s=600)
    seen = json.loads((work / "seen.json").read_text())
    assert seen["first"] == seen["seed 7"] != seen["seed 8"]
    texts = load_tokenizer(wide).batch_decode([row for name in seen if "seed" in name for row in seen[name]])
    assert {text.partition("2")[2] for text in texts if "2" in text} == {""}, "nothing follows a stop text"
    assert seen["context"] == len("Q: 0\nA:") + 12
    assert seen["sequences"] == 3, "bounded below the 16 of a batch"
    points = [json.loads(line)["values"] for line in (work / "metrics.jsonl").read_text().splitlines()]
    assert 5 <= len(points) < 40
    assert points[0]["truncation_share"] == 0
    assert points[0]["sampler_gap"] < 5e-3
    assert points[0]["importance_ratio"] == pytest.approx(1, abs=5e-2)
    assert points[-1]["importance_ratio_min"] < points[0]["importance_ratio_min"]
