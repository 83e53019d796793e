"""What the chapter's records say of themselves in its prose."""

import numpy as np
import pytest

from dlcourse.chapters.parallel_training.data_parallel import Comparison
from dlcourse.chapters.parallel_training.one_shot import OneShot


@pytest.mark.parametrize(("shift", "said"), [(0.0, "to the last bit"), (1e-15, "to 1e-12")])
def test_the_prose_claims_equal_bits_only_where_all_bits_are_equal(shift, said):
    alone = np.ones((4, 3))
    replicas = {"mean": np.stack([alone, alone]), "sum": np.stack([alone, alone + 0.25])}
    prose = Comparison(replicas, alone, in_turn=alone + shift).prose()
    assert prose == {"parallel_workers": "2", "parallel_bits": said, "parallel_sum": "0.25"}


def test_the_prose_tells_the_errors_with_the_most_pieces():
    squares = {"average": np.array([1.0, 9.0]), "refined": np.array([1.0, 4.0])}
    prose = OneShot(100, [2, 50], squares, pooled=4.0).prose()
    assert prose == {"parallel_average": "1.5", "parallel_refined": "1.00"}
