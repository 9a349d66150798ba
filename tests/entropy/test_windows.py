"""Windows: every position once, within the context, with its overlap."""

import pytest

from tasks.shared.next_token.windows import Window, windows

CASES = [(context, overlap) for context in (2, 3, 5, 8, 64) for overlap in (1, 2, 4, 7, 63) if overlap < context]


@pytest.mark.parametrize(("context", "overlap"), CASES)
def test_every_position_is_predicted_once_from_enough(context: int, overlap: int) -> None:
    for num_tokens in range(100):
        found = windows(num_tokens, context, overlap)
        predicted = [position for window in found for position in range(window.first, window.end)]
        assert predicted == list(range(1, num_tokens))
        for index, window in enumerate(found):
            assert 1 <= window.num_inputs <= context
            for position in range(window.first, window.end):
                before = position - window.start
                assert (overlap if index else position) <= before <= context


def test_a_document_within_the_context_is_one_window() -> None:
    assert windows(9, 8, 3) == [Window(0, 1, 9)]
    assert windows(10, 8, 3) == [Window(0, 1, 9), Window(6, 9, 10)]
    assert windows(1, 8, 3) == windows(0, 8, 3) == []


@pytest.mark.parametrize(("context", "overlap"), [(8, 0), (8, 8), (8, 9), (1, 1), (8, -1)])
def test_an_overlap_that_leaves_positions_out_is_refused(context: int, overlap: int) -> None:
    with pytest.raises(ValueError, match=f"overlap_tokens={overlap}, context_tokens={context}"):
        windows(100, context, overlap)
