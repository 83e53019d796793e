"""FLOPs of any torch module, counted operation by operation.

The module runs on the meta device, which knows shapes and computes nothing, so that a model of any
size is counted at once. The closed forms of this room and this counter must agree.

Torch's own `FlopCounterMode` shares the idea; the rules of
`dlcourse.compute.counting.operations` replace or complete its rules where they are wrong.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.func import functional_call
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from dlcourse.compute.counting.operations import RULES, WHY
from dlcourse.compute.models.model import Counted
from dlcourse.tables import Table

STEPS = ("forward", "training")
PACKETS = {getattr(torch.ops.aten, name): rule for name, rule in RULES.items()}


def count(module: torch.nn.Module, *inputs, step="forward", loss: Callable | None = None, **named):
    """Count `module(*inputs, **named)`, or a training step on it.

    A training step sums all outputs, or takes `loss(output)`, and goes back to every parameter that
    requires a gradient. The inputs are data: nothing is counted for their gradients. Neither the
    module nor its gradients change. A multiply-add is two FLOPs; attention is counted in full, also
    where a mask cuts it. Where the module cannot run on the meta device it runs on its own, and the
    result says why. Raises `ValueError` for another `step`, and for a module on the meta device
    that cannot run there.

    >>> count(torch.nn.Linear(3, 4), torch.zeros(2, 3), step="training").flops
    96
    """
    if step not in STEPS:
        raise ValueError(f'`step` must be "forward" or "training", got {step!r}.')
    state = dict(module.named_parameters()) | dict(module.named_buffers())
    device = next((tensor.device for tensor in state.values()), torch.device("cpu"))
    run = _Run(module, step, loss)
    try:
        tally, reason = run(state, "meta", inputs, named), None
        device = "meta"
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if device.type == "meta":
            raise ValueError(
                "`module` must be able to run where it lies, got one on the meta device that "
                f"cannot: {error} Build it on the CPU, and it is counted there."
            ) from error
        tally, reason = run(state, device, inputs, named), str(error).split("\n")[0]
    params = sum(parameter.numel() for parameter in module.parameters())
    by_module = {"": 0} | dict(tally.by_module)
    return Counted(
        flops=by_module[""],
        forward_flops=tally.forward_flops,
        params=params,
        step=step,
        device=str(device),
        reason=reason,
        by_module=by_module,
        by_operation=dict(tally.by_operation),
    )


@dataclass(frozen=True)
class _Run:
    """One step under the counter, on copies of the module's state."""

    module: torch.nn.Module
    step: str
    loss: Callable | None

    def __call__(self, state, device, inputs, named) -> "_Tally":
        def moved(x):
            if not isinstance(x, torch.Tensor):
                return x
            if device != "meta" and x.is_meta:
                return torch.zeros_like(x, device=device)
            return x.detach().to(device, copy=True)

        def copied(x):
            copy = torch.empty_like(x, device=device) if device == "meta" else x.detach().clone()
            return copy.requires_grad_(x.requires_grad and self.step == "training")

        state = {name: copied(tensor) for name, tensor in state.items()}
        arguments, keywords = tree_map(moved, inputs), tree_map(moved, named)
        is_training = self.step == "training"
        tally = _Tally(self.module)
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(is_training):
            with tally.watching(), tally:
                output = functional_call(self.module, state, arguments, keywords)
                tally.forward_flops = tally.by_module[""]
                if is_training:
                    self._scalar(output).backward()
        return tally

    def _scalar(self, output):
        if self.loss is not None:
            return self.loss(output)
        leaves = [x for x in tree_leaves(output) if isinstance(x, torch.Tensor) and x.requires_grad]
        if not leaves:
            raise ValueError(
                "`module` must give an output that depends on a parameter with a gradient, and "
                'does not. Call `module.requires_grad_()`, or count with `step="forward"`.'
            )
        return sum(leaf.sum() for leaf in leaves)


class _Tally(TorchDispatchMode):
    """Sees every operation; credits its FLOPs to the modules that it belongs to.

    In the backward pass an operation belongs to the module in whose forward pass its node of the
    graph arose: nodes are numbered, and the number at each entry and exit is kept.
    """

    def __init__(self, module):
        super().__init__()
        self.by_module, self.by_operation, self.forward_flops = Counter(), Counter(), 0
        self.names = {child: name for name, child in module.named_modules()}
        self.open: list[str] = []
        self.numbers, self.open_at = [-1], [()]

    @contextmanager
    def watching(self):
        """Notes which modules are entered and left; apart from the mode, which nests in itself."""
        hooks = [
            register_module_forward_pre_hook(self._enters),
            register_module_forward_hook(self._leaves),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enters(self, module, inputs):
        self.open.append(self.names.get(module, ""))
        self._note()

    def _leaves(self, module, inputs, output):
        self.open.pop()
        self._note()

    def _note(self):
        self.numbers.append(torch.autograd._get_sequence_nr())
        self.open_at.append(tuple(self.open))

    def _modules(self):
        node = torch._C._current_autograd_node()
        if node is None:
            return {"", *self.open}
        return {"", *self.open_at[bisect_right(self.numbers, node._sequence_nr()) - 1]}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        packet = operation.overloadpacket
        rule = PACKETS.get(packet)
        theirs = flop_registry.get(packet)
        if rule is None and theirs is None and operation is not torch.ops.prim.device.default:
            with self:
                out = operation.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = operation(*args, **kwargs)
        if rule is not None:
            shaped, named, out_shape = tree_map(_shape, (args, kwargs, out))
            self._credit(packet, rule(*shaped, **named, out_shape=out_shape))
        elif theirs is not None:
            self._credit(packet, theirs(*args, **kwargs, out_val=out))
        return out

    def _credit(self, packet, flops):
        self.by_operation[packet.__name__] += int(flops)
        for name in self._modules():
            self.by_module[name] += int(flops)


def _shape(x):
    return tuple(x.shape) if isinstance(x, torch.Tensor) else x


class Function(torch.nn.Module):
    """A function as a module without parameters of its own, so that it can be counted."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        """The function's value."""
        return self.function(*inputs)


def torch_flops(module: torch.nn.Module, *inputs, step="forward") -> int:
    """What torch's `FlopCounterMode` counts, on the device where the module lies."""
    is_training = step == "training"
    with torch.set_grad_enabled(is_training), FlopCounterMode(display=False) as mode:
        output = module(*inputs)
        if is_training:
            sum(x.sum() for x in tree_leaves(output) if x.requires_grad).backward()
    return mode.get_total_flops()


def faults() -> Table:
    """Small networks on a CPU that torch's own counter gets wrong: its number, ours, and why."""
    rows = [
        (name, torch_flops(module, *inputs, step=step), count(module, *inputs, step=step), rule)
        for name, module, inputs, step, rule in _cases()
    ]
    return Table(
        {
            "network": [name for name, *_ in rows],
            "torch": [theirs for _, theirs, _, _ in rows],
            "ours": [ours.flops for _, _, ours, _ in rows],
            "what torch does": [WHY[rule] for *_, rule in rows],
        }
    )


def _cases():
    zeros, nn = torch.zeros, torch.nn
    depthwise = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 3, groups=16))
    heads = zeros(1, 4, 32, 8)
    encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    attention = Function(nn.functional.scaled_dot_product_attention)
    maps, vector = zeros(4, 8, 16), zeros(8)
    product = Function(lambda x, w: torch.addbmm(zeros(6, 16, device=x.device), x, w))
    return [
        (
            "depthwise convolution, training",
            depthwise,
            (zeros(1, 3, 10, 10),),
            "training",
            "convolution_backward",
        ),
        (
            "attention",
            attention,
            (heads, heads, heads),
            "forward",
            "_scaled_dot_product_flash_attention_for_cpu",
        ),
        ("LSTM", nn.LSTM(8, 16), (zeros(5, 3, 8),), "forward", "mkldnn_rnn_layer"),
        (
            "encoder layer, fast path",
            encoder,
            (zeros(2, 6, 16),),
            "forward",
            "_transformer_encoder_layer_fwd",
        ),
        ("bilinear", nn.Bilinear(4, 5, 6), (zeros(3, 4), zeros(3, 5)), "forward", "_trilinear"),
        ("matrix times vector", Function(torch.mv), (zeros(16, 8), vector), "forward", "mv"),
        ("vector times vector", Function(torch.dot), (vector, vector), "forward", "dot"),
        ("sum of products", product, (zeros(4, 6, 8), maps), "forward", "addbmm"),
    ]
