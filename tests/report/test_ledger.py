"""Ledgers: what adds up is shown as a sum, what does not is not."""

from dataclasses import replace

import pytest

from tasks.report.ledger import Balance, balances
from tasks.report.numbers.provenance import Provenance
from tasks.spine.store.lineage import Node
from tests.support.report_worlds import World


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        ({}, []),
        ({"read": 10, "kept": 7, "merged": 2, "rejected": 1}, [("read", ["kept", "merged", "rejected"])]),
        ({"read": 10, "kept": 10, "beyond": 0}, [("read", ["kept", "beyond"])]),
        (
            {"candidates": 5, "copies": 1, "kept": 4, "tokens_candidates": 50, "tokens_copies": 10, "tokens_kept": 40},
            [("candidates", ["copies", "kept"]), ("tokens_candidates", ["tokens_copies", "tokens_kept"])],
        ),
        ({"asked": 64, "rollouts": 8, "correct": 3, "wrong": 5}, [("asked", []), ("rollouts", ["correct", "wrong"])]),
        ({"read": 10, "kept": 7, "lost": 2}, [("read", []), ("kept", []), ("lost", [])]),
        (
            {
                "made": 9,
                "cut": 0,
                "wrong": 3,
                "right": 6,
                "far": 0,
                "near": 6,
                "worse": 2,
                "kept": 4,
                "tokens_made": 90,
            },
            [
                ("made", ["cut", "wrong", "right"]),
                ("right", ["far", "near"]),
                ("near", ["worse", "kept"]),
                ("tokens_made", []),
            ],
        ),
        ({"made": 9, "wrong": 9, "right": 0, "far": 0, "kept": 0}, [("made", ["wrong", "right", "far", "kept"])]),
        ({"examples": 7, "trained": 7}, [("examples", []), ("trained", [])]),
    ],
)
def test_totals_and_parts(ledger: dict[str, int], expected: list[tuple[str, list[str]]]) -> None:
    groups = balances(ledger)
    assert [(group.total[0], [name for name, _ in group.parts]) for group in groups] == expected
    for group in groups:
        assert not group.parts or sum(count for _, count in group.parts) == group.total[1]
    assert dict(item for group in groups for item in (group.total, *group.parts)) == ledger


def test_counts_are_kept() -> None:
    assert balances({"a": 3, "b": 1, "c": 2}) == [Balance(("a", 3), (("b", 1), ("c", 2)))]


def test_rows_stand_in_one_order_whenever_they_were_made(world: World) -> None:
    """What is made side by side is ready in another order each time."""
    base = world.made["base"]
    first, second, last = (base.model_copy(update={"fingerprint": digit * 64}) for digit in "123")
    for early, late in ((first, second), (second, first)):
        times = {early.ref: "2026-01-01T00:00:00", late.ref: "2026-01-02T00:00:00", last.ref: "2026-01-03T00:00:00"}
        nodes = [
            Node(item.ref, item.model_copy(update={"created_at": times[item.ref]})) for item in (first, second, last)
        ]
        root = replace(nodes[2], parents={"a": nodes[0], "b": nodes[1]})
        provenance = Provenance({}, {"evaluation": root}, {}, lambda manifest: "")
        assert [manifest.ref for manifest in provenance.manifests] == [first.ref, second.ref, last.ref]
