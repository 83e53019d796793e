"""What is printed in the two notebooks of slide 19, as rules of their own."""

import numpy as np
import pytest
import torch
from scipy import stats


@pytest.mark.erratum("S4")
def test_with_a_score_too_few_the_largest_signature_can_never_be_predicted(rng):
    signatures = np.arange(-8, 9, 2)
    n_scores = (signatures.max() - signatures.min()) // 2  # as printed; one class has no score
    assert n_scores == len(signatures) - 1
    largest = (signatures[-1] - signatures[0]) // 2  # its number is the first that is not there
    one_hot = (np.arange(n_scores) == largest).astype(float)  # what the notebook's library gives
    scores = torch.tensor(rng.normal(size=(5, n_scores)), requires_grad=True)
    loss = -(torch.log_softmax(scores, -1) * torch.tensor(one_hot)).sum()
    loss.backward()
    assert loss == 0  # the largest signature costs nothing, whatever is predicted,
    assert not scores.grad.any()  # teaches nothing,
    predictions = 2 * np.arange(n_scores) + signatures[0]
    assert signatures[-1] not in predictions  # and is never said
    with pytest.raises(IndexError, match="out of bounds"):
        torch.nn.functional.cross_entropy(scores, torch.full((5,), int(largest)))
    mended = torch.nn.functional.cross_entropy(
        torch.tensor(rng.normal(size=(5, n_scores + 1))), torch.full((5,), int(largest))
    )
    assert mended > 0


@pytest.mark.erratum("S4")
def test_a_split_standardized_by_itself_hides_that_it_differs(rng):
    train, shifted = rng.normal(size=4_000), 1.0 + rng.normal(size=2_000)
    by_itself = (shifted - shifted.mean()) / shifted.std()
    by_train = (shifted - train.mean()) / train.std()
    assert by_itself.mean() == pytest.approx(0.0, abs=1e-12)  # the shift is gone
    assert by_train.mean() == pytest.approx(1.0, abs=0.1)
    assert by_itself[0] != pytest.approx(by_train[0], abs=0.5)  # one knot, two inputs


@pytest.mark.erratum("S5")
def test_one_degree_of_freedom_and_one_side_give_no_valid_p_value(printed):
    rng = np.random.default_rng(0)
    control, treated = rng.normal(size=(2, 2_000, 333))  # no effect: 5 % shall be significant
    t = (treated.mean(1) - control.mean(1)) / np.sqrt((treated.var(1) + control.var(1)) / 333)
    as_printed = stats.t.sf(np.abs(t), df=1)
    correct = stats.ttest_ind(treated, control, axis=1).pvalue
    np.testing.assert_allclose(2 * stats.t.sf(np.abs(t), df=664), correct, atol=1e-3)
    assert np.mean(correct < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(as_printed < 0.05) == 0  # it never finds a false effect,
    printed.agrees(needed=stats.t.isf(0.05, df=1), usual=stats.norm.isf(0.025))
    clear = stats.t.sf(4.0, df=1)  # and misses true ones of four standard errors
    printed.agrees(clear=clear)
    assert clear > 0.05 > 2 * stats.norm.sf(4.0)
