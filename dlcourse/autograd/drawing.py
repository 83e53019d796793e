r"""A graph as Graphviz source: paste it into any Graphviz viewer, or pipe it through `dot -Tsvg`.

Ellipses are variables, boxes results. Graphs of scalars show values, gradients and, on each edge,
the partial derivative by which backward multiplies; graphs of arrays show operations and shapes.
"""

from dlcourse.autograd.tensor import Tensor
from dlcourse.autograd.value import Value


def graphviz(result: Value | Tensor, names: dict | None = None) -> str:
    """The graph that led to `result`; `names` maps a label to its value or tensor.

    A tensor's graph is freed by `backward`, so draw it before; a value keeps its graph.

    >>> x = Value(3.0)
    >>> y = x * x
    >>> y.backward()
    >>> print(graphviz(y, names={"x": x, "y": y}))
    digraph {
      rankdir=LR
      n0 [label="x = 3\\ngradient 6", shape=ellipse]
      n1 [label="y = 9\\ngradient 1", shape=box]
      n0 -> n1 [label="3"]
      n0 -> n1 [label="3"]
    }
    """
    label_of = {id(node): label for label, node in (names or {}).items()}
    nodes = _history(result)
    number = {id(node): i for i, node in enumerate(nodes)}
    lines = ["digraph {", "  rankdir=LR"]
    for i, node in enumerate(nodes):
        shape = "box" if _inputs(node) else "ellipse"
        label = _label(node, label_of.get(id(node))).replace('"', r"\"")
        lines.append(f'  n{i} [label="{label}", shape={shape}]')
    for i, node in enumerate(nodes):
        for parent, slope in _inputs(node):
            lines.append(f"  n{number[id(parent)]} -> n{i}{slope}")
    return "\n".join([*lines, "}"])


def _inputs(node):
    """Pairs (input, label of the edge)."""
    if isinstance(node, Value):
        pairs = zip(node.inputs, node.slopes, strict=True)
        return [(x, f' [label="{slope:.4g}"]') for x, slope in pairs]
    return [(x, "") for x in node.parents if isinstance(x, Tensor) and x.needs_grad]


def _label(node, name):
    if isinstance(node, Value):
        number = f"{node.data:.4g}"
        return (f"{name} = {number}" if name else number) + rf"\ngradient {node.grad:.4g}"
    operation = node.made_by.__name__.lstrip("_") if node.made_by else "variable"
    return (f"{name}: " if name else "") + rf"{operation}\nshape {node.shape}"


def _history(last):
    """Every node that led to `last`, the oldest first."""
    found, waiting = {}, [last]
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found[id(node)] = node
            waiting.extend(x for x, _ in _inputs(node))
    return sorted(found.values(), key=lambda node: node.age)
