"""Scores in MLflow stand beside the dataset that they were measured on, which the manifest names."""

from tasks.spine.store.store import Store
from tasks.spine.tracking.terms import dataset_of, metric_name, scores
from tests.support.publishing import Publish


def test_every_group_of_scores_is_tied_to_what_it_was_measured_on(store: Store, publish: Publish) -> None:
    asked, texts = (publish(store, kind, summary={"label": kind}) for kind in ("questions", "entropy"))
    measured = publish(
        store,
        "evaluation",
        parents={"questions.easy": asked.ref, "texts": texts.ref},
        summary={"scores": {"easy": {"pass@1": 0.5, "name": "x"}, "direct": {"all": 1}, "other": {"all": 0}}},
        measured_on={"easy": "questions.easy", "direct": "texts"},
    )
    assert list(scores(measured, store)) == [
        ("easy/pass_at_1", 0.5, dataset_of(asked)),
        ("direct/all", 1.0, dataset_of(texts)),
        ("other/all", 0.0, ()),
    ]


def test_names_of_metrics_are_those_that_mlflow_takes() -> None:
    from mlflow.utils.validation import _validate_metric_name

    for label in ("A/B", "50 % (new) + [x]", "../up", "Ünïcode", "x" * 300):
        name = metric_name("bench/mark", f"pass@1 {label}")
        _validate_metric_name(name)
        assert name.startswith("bench-mark/pass_at_1 ")
