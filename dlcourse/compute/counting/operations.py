r"""FLOPs of one operation of torch, from the shapes of its arguments.

A rule takes the operation's arguments with each tensor replaced by its shape, and `out_shape`. The
operations listed here are those that torch's own counter gets wrong or leaves out, and the plain
products; `WHY` says what is wrong.
"""

from math import prod

from dlcourse.compute.models.parts import product_flops

WHY = {
    "convolution_backward": "the gradient of the weight of a grouped convolution is counted "
    "`groups` times too high",
    "_scaled_dot_product_flash_attention_for_cpu": "not counted: attention on a CPU",
    "_scaled_dot_product_flash_attention_for_cpu_backward": "not counted: attention on a CPU",
    "_scaled_dot_product_flash_attention_backward": "scores computed once more are counted",
    "_scaled_dot_product_efficient_attention_backward": "scores computed once more are counted",
    "_scaled_dot_product_cudnn_attention_backward": "scores computed once more are counted",
    "mkldnn_rnn_layer": "not counted: LSTM on a CPU",
    "mkldnn_rnn_layer_backward": "not counted: LSTM on a CPU",
    "_cudnn_rnn": "not counted: recurrent layers on a GPU",
    "_cudnn_rnn_backward": "not counted: recurrent layers on a GPU",
    "_transformer_encoder_layer_fwd": "not counted: the fast path of nn.TransformerEncoderLayer",
    "_native_multi_head_attention": "not counted: the fast path of nn.MultiheadAttention",
    "_trilinear": "not counted: nn.Bilinear",
    "_grouped_mm": "not counted: experts as one grouped product",
    "mv": "not counted: a matrix times a vector",
    "addmv": "not counted: a matrix times a vector",
    "dot": "not counted: a vector times a vector",
    "vdot": "not counted: a vector times a vector",
    "addbmm": "not counted: a sum of matrix products",
}


def matrix_product(a, b, **_):
    """(m, k) times (k, n), or batches of them."""
    return product_flops(prod(a[:-1]), a[-1], b[-1])


def added_product(added, a, b, **_):
    """A matrix product with something added."""
    return matrix_product(a, b)


def matrix_vector(a, x, **_):
    """(m, n) times (n,)."""
    return product_flops(a[0], a[1], 1)


def added_matrix_vector(added, a, x, **_):
    return matrix_vector(a, x)


def vector_vector(x, y, **_):
    return product_flops(1, x[0], 1)


def grouped_product(a, b, *_, **__):
    """Products of the groups of rows, or of columns, that the offsets after `b` mark.

    A batch with a batch is one product each; else the groups share the long axis among them.
    """
    n_groups = a[0] if len(a) == len(b) == 3 else 1
    return n_groups * product_flops(a[-2], a[-1], b[-1])


def convolution(*arguments, out_shape, **_):
    """One product of the kernel at each place of the output, or of the input if transposed."""
    x, weight, *_, is_transposed = arguments[:7]
    return _kernel_flops(x if is_transposed else out_shape, weight)


def convolution_backward(*arguments, **_):
    """Each gradient that is asked for costs what the forward pass does, groups or not."""
    out, x, weight, *_, is_transposed = arguments[:8]
    needs = arguments[10]  # of input, weight and bias
    return (needs[0] + needs[1]) * _kernel_flops(x if is_transposed else out, weight)


def _kernel_flops(places, weight):
    """`weight` is (out, in / groups, *kernel), or (in, out / groups, *kernel) if transposed."""
    return product_flops(places[0] * prod(places[2:]), prod(weight[1:]), weight[0])


def attention(query, key, value, *_, **__):
    """Scores, and their sum over values; queries may have more heads than keys."""
    rows = prod(query[:-1])
    return product_flops(rows, query[-1], key[-2]) + product_flops(rows, key[-2], value[-1])


def attention_backward(grad, query, key, value, *_, **__):
    """Two gradients for each of the two products; scores computed once more are no new work."""
    return 2 * attention(query, key, value)


def lstm_layer(x, input_weight, state_weight, *_, **__):
    """One direction of one layer: at each step the gates map the input and the state."""
    steps = prod(x[:-1])
    return product_flops(steps, input_weight[1], input_weight[0]) + product_flops(
        steps, state_weight[1], state_weight[0]
    )


def lstm_layer_backward(x, input_weight, state_weight, *_, **__):
    """The operation computes all gradients, also those of data and of the first state."""
    return 2 * lstm_layer(x, input_weight, state_weight)


def recurrent_layers(x, weights, *_, **__):
    """All layers and directions at once: every matrix of weights is used at every step."""
    steps = prod(x[:-1])
    return sum(product_flops(steps, w[1], w[0]) for w in weights if len(w) == 2)


def recurrent_layers_backward(x, weights, *_, **__):
    """The operation computes all gradients, also those of data and of the first state."""
    return 2 * recurrent_layers(x, weights)


def multi_head_attention(query, *others, **_):
    """All maps and products of nn.MultiheadAttention on one sequence."""
    width, maps, out_map = others[2], others[4], others[6]
    rows, length = prod(query[:-1]), query[1]
    products = 2 * product_flops(rows, width, length)  # the heads' widths add up to `width`
    return product_flops(rows, width, maps[0]) + products + product_flops(rows, width, out_map[0])


def encoder_layer(x, width, n_heads, *weights, **_):
    """Attention and feed-forward of nn.TransformerEncoderLayer."""
    up, down = weights[11], weights[13]
    rows = prod(x[:-1])
    feed_forward = product_flops(rows, *up) + product_flops(rows, *down)
    return multi_head_attention(x, x, x, width, n_heads, *weights) + feed_forward


def trilinear(*arguments, **_):
    """Three tensors multiplied and summed: the first two, then their product with the third.

    Each tensor comes with a list of the axes that it lacks. torch.einsum counts the same.
    """
    shapes, lacking, summed = arguments[:3], arguments[3:6], arguments[6]
    n_axes = len(shapes[0]) + len(lacking[0])
    axes = [[i for i in range(n_axes) if i not in lacks] for lacks in lacking]
    sizes = {}
    for shape, held in zip(shapes, axes, strict=True):
        sizes.update(zip(held, shape, strict=True))
    first = {*axes[0], *axes[1]}
    kept = {axis for axis in first if axis not in summed or axis in axes[2]}
    volumes = [prod(sizes[axis] for axis in some) for some in (first, kept | {*axes[2]})]
    return 2 * sum(volumes)


RULES = {
    "mm": matrix_product,
    "bmm": matrix_product,
    "addmm": added_product,
    "baddbmm": added_product,
    "addbmm": added_product,
    "_addmm_activation": added_product,
    "_int_mm": matrix_product,
    "_grouped_mm": grouped_product,
    "mv": matrix_vector,
    "addmv": added_matrix_vector,
    "dot": vector_vector,
    "vdot": vector_vector,
    "_trilinear": trilinear,
    "convolution": convolution,
    "_convolution": convolution,
    "convolution_backward": convolution_backward,
    "_scaled_dot_product_flash_attention": attention,
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_efficient_attention": attention,
    "_scaled_dot_product_cudnn_attention": attention,
    "_scaled_dot_product_flash_attention_backward": attention_backward,
    "_scaled_dot_product_flash_attention_for_cpu_backward": attention_backward,
    "_scaled_dot_product_efficient_attention_backward": attention_backward,
    "_scaled_dot_product_cudnn_attention_backward": attention_backward,
    "mkldnn_rnn_layer": lstm_layer,
    "mkldnn_rnn_layer_backward": lstm_layer_backward,
    "_cudnn_rnn": recurrent_layers,
    "_cudnn_rnn_backward": recurrent_layers_backward,
    "_native_multi_head_attention": multi_head_attention,
    "_transformer_encoder_layer_fwd": encoder_layer,
}
