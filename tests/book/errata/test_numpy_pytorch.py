"""The table of slide 33, row by row: what NumPy and PyTorch do under the names that it pairs."""

import numpy as np
import pytest
import torch

COUNTS = [[1, 2, 3], [4, 5, 6]]


@pytest.mark.erratum("E43")
def test_row_1_array_and_tensor_copy_but_floats_get_another_precision():
    assert np.array([0.1]).dtype == np.float64
    assert torch.tensor([0.1]).dtype == torch.float32
    assert torch.tensor([0.1], dtype=torch.float64).dtype == torch.float64  # the twin
    numbers = np.ones(2)
    copied, shared = torch.tensor(numbers), torch.from_numpy(numbers)
    numbers[0] = 7.0
    assert copied[0] == 1.0
    assert shared[0] == 7.0


@pytest.mark.erratum("E43")
def test_row_2_ndim_and_dim_agree():
    assert np.array(COUNTS).ndim == torch.tensor(COUNTS).dim() == 2


@pytest.mark.erratum("E43")
def test_row_3_shape_and_size_agree_but_size_is_a_count_in_numpy():
    array, tensor = np.array(COUNTS), torch.tensor(COUNTS)
    assert array.shape == tuple(tensor.size()) == tuple(tensor.shape) == (2, 3)
    assert array.size == tensor.numel() == 6


@pytest.mark.erratum("E43")
def test_row_4_sums_agree_but_small_integers_get_another_type():
    assert np.sum(np.array(COUNTS)) == torch.sum(torch.tensor(COUNTS)) == 21
    assert np.sum(np.ones(3, np.uint8)).dtype == np.uint64
    assert torch.sum(torch.ones(3, dtype=torch.uint8)).dtype == torch.int64
    by_row = np.sum(np.array(COUNTS), axis=1, keepdims=True)
    np.testing.assert_array_equal(by_row, torch.sum(torch.tensor(COUNTS), dim=1, keepdim=True))


@pytest.mark.erratum("E43")
def test_row_5_the_mean_of_integers_is_an_error_in_torch():
    assert np.mean(np.array([1, 2])) == 1.5
    with pytest.raises(RuntimeError, match="Long"):
        torch.mean(torch.tensor([1, 2]))
    assert torch.mean(torch.tensor([1, 2]).double()) == 1.5


@pytest.mark.erratum("E43")
def test_row_6_the_standard_deviations_have_different_divisors(printed):
    values = [1.0, 2.0, 3.0, 4.0]
    printed.agrees(numpy=np.std(values), torch=torch.std(torch.tensor(values)))
    assert torch.std(torch.tensor(values), correction=0) == pytest.approx(np.std(values))
    assert np.std(values, ddof=1) == pytest.approx(torch.std(torch.tensor(values)))
    assert np.std([1.0]) == 0
    with pytest.warns(UserWarning, match="degrees of freedom"):
        assert torch.std(torch.tensor([1.0])).isnan()


@pytest.mark.erratum("E43")
@pytest.mark.parametrize("combine", [lambda a, b: a + b, lambda a, b: a * b], ids=["7", "8"])
def test_rows_7_and_8_sums_and_products_agree_but_promote_types_differently(combine):
    np.testing.assert_array_equal(
        combine(np.array(COUNTS), np.array(COUNTS)),
        combine(torch.tensor(COUNTS), torch.tensor(COUNTS)),
    )
    assert combine(np.ones(2, np.int64), np.ones(2, np.float32)).dtype == np.float64
    mixed = combine(torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.float32))
    assert mixed.dtype == torch.float32
    with pytest.raises(OverflowError):
        combine(np.ones(1, np.uint8), 300)
    wrapped = combine(torch.ones(1, dtype=torch.uint8), 300)
    assert wrapped == combine(1, 300) % 256  # without a word


@pytest.mark.erratum("E43")
def test_row_9_dot_and_matmul_agree_for_matrices_only(rng):
    A, B = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 5))
    first, second = torch.tensor(A), torch.tensor(B)
    np.testing.assert_allclose(np.dot(A[0], B[0]), torch.matmul(first[0], second[0]), atol=1e-14)
    assert np.dot(A, B).shape == (2, 3, 2, 5)
    assert torch.matmul(first, second).shape == (2, 3, 5)
    np.testing.assert_allclose(np.matmul(A, B), torch.matmul(first, second), atol=1e-14)  # the twin
    assert np.dot(2.0, 3.0) == 6.0
    with pytest.raises(RuntimeError, match="at least 1D"):
        torch.matmul(torch.tensor(2.0), torch.tensor(3.0))
    with pytest.raises(RuntimeError, match="same dtype"):
        torch.matmul(first[0], second[0].float())


@pytest.mark.erratum("E43")
def test_row_10_a_view_of_a_transpose_is_an_error_and_reshape_is_none():
    transposed = torch.tensor(COUNTS).t()
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        transposed.view(6)
    flat = np.array(COUNTS).T.reshape(6)
    np.testing.assert_array_equal(flat, transposed.reshape(6))  # the twin
    assert np.ones(2).view(np.int64).dtype == np.int64  # a view in NumPy reads the bytes anew


@pytest.mark.erratum("E43")
def test_row_11_the_transpose_of_more_than_two_axes_differs():
    array, tensor = np.zeros((2, 3, 4)), torch.zeros(2, 3, 4)
    assert array.T.shape == (4, 3, 2)
    with pytest.raises(RuntimeError, match="expects a tensor with <= 2 dimensions"):
        tensor.t()
    assert array.mT.shape == tensor.mT.shape == (2, 4, 3)
    assert np.transpose(array, (2, 0, 1)).shape == tensor.permute(2, 0, 1).shape == (4, 2, 3)


@pytest.mark.erratum("E43")
@pytest.mark.parametrize(
    ("numpy_name", "extreme"), [("max", [4, 5, 6]), ("min", [1, 2, 3])], ids=["12", "13"]
)
def test_rows_12_and_13_extremes_agree_without_an_axis_only(numpy_name, extreme):
    array, tensor = np.array(COUNTS), torch.tensor(COUNTS)
    of_array, of_tensor = getattr(np, numpy_name), getattr(torch, numpy_name)
    assert of_array(array) == of_tensor(tensor)
    values, indices = of_tensor(tensor, dim=0)  # a pair, not an array
    np.testing.assert_array_equal(of_array(array, axis=0), values)
    np.testing.assert_array_equal(of_array(array, axis=0), extreme)
    assert indices.dtype == torch.int64
    twin = getattr(torch, f"a{numpy_name}")(tensor, dim=0)
    np.testing.assert_array_equal(of_array(array, axis=0), twin)
    with pytest.raises(TypeError):
        of_array(array, array)
    assert torch.equal(of_tensor(tensor, tensor), tensor)  # entry by entry


@pytest.mark.erratum("E43")
def test_rows_12_and_13_share_the_gradient_of_a_tie_unless_an_axis_is_named():
    def gradient(largest):
        x = torch.tensor([1.0, 1.0, 0.0], requires_grad=True)
        largest(x).backward()
        return x.grad.tolist()

    assert gradient(torch.max) == gradient(lambda x: torch.amax(x, 0)) == [0.5, 0.5, 0.0]
    assert sorted(gradient(lambda x: torch.max(x, dim=0).values)) == [0.0, 0.0, 1.0]


@pytest.mark.erratum("E43")
def test_row_14_concatenation_agrees_but_only_numpy_flattens():
    array, tensor = np.array(COUNTS), torch.tensor(COUNTS)
    for axis in (0, 1):
        joined = torch.cat([tensor, tensor], axis)
        np.testing.assert_array_equal(np.concatenate([array, array], axis), joined)
    assert np.concatenate([array, array], axis=None).shape == (12,)
    with pytest.raises(TypeError):
        torch.cat([tensor, tensor], dim=None)
    with pytest.raises(ValueError, match="same number of dimensions"):
        np.concatenate([np.zeros(0), np.ones((2, 3))])
    assert torch.cat([torch.zeros(0), torch.ones(2, 3)]).shape == (2, 3)  # kept from old days
