"""Reverse mode on single numbers, the whole of it on a page.

A `Value` is a number that remembers its inputs and, for each, the slope: how much the number
changes with it. Backward multiplies slopes along paths and adds where paths meet: the chain rule.
"""

import math
from itertools import count
from operator import attrgetter, mul

_age, _data = count(), attrgetter("data")  # inputs are older than results


class Value:
    """A number, with the gradient of the result it leads to.

    >>> x, y = Value(3.0), Value(4.0)
    >>> z = x * y + x**2
    >>> z.backward()
    >>> x.grad, y.grad
    (10.0, 3.0)
    """

    __slots__ = ("age", "data", "grad", "inputs", "slopes")

    def __init__(self, data, inputs=(), slopes=()):
        self.data, self.inputs, self.slopes = data, inputs, slopes
        self.grad, self.age = 0.0, next(_age)

    def __add__(self, other):
        if not isinstance(other, Value):
            return Value(self.data + other, (self,), (1.0,))
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        if not isinstance(other, Value):
            return Value(self.data * other, (self,), (other,))
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, exponent):
        slope = exponent * self.data ** (exponent - 1)
        return Value(self.data**exponent, (self,), (slope,))

    def exp(self):
        y = math.exp(self.data)
        return Value(y, (self,), (y,))

    def log(self):
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, (self,), (1 - y * y,))

    def relu(self):
        return Value(self.data, (self,), (1.0,)) if self.data > 0 else Value(0.0)

    def backward(self):
        """Write into `grad` of every value that led here how much this one changes with it."""
        nodes, waiting = {self}, [self]
        while waiting:
            new = set(waiting.pop().inputs) - nodes
            nodes |= new
            waiting.extend(new)
        for node in nodes:
            node.grad = 0.0
        self.grad = 1.0
        for node in sorted(nodes, key=attrgetter("age"), reverse=True):
            if g := node.grad:
                for x, slope in zip(node.inputs, node.slopes, strict=True):
                    x.grad += slope * g

    def __sub__(self, other):
        return self + -1.0 * other

    def __rsub__(self, other):
        return -1.0 * self + other

    def __neg__(self):
        return -1.0 * self

    def __truediv__(self, other):
        return self * other**-1.0

    def __rtruediv__(self, other):
        return self**-1.0 * other

    __radd__, __rmul__ = __add__, __mul__

    def __repr__(self):
        return f"Value({self.data:.6g}, grad={self.grad:.6g})"


def dot(xs, ys, start):
    """`start` plus the products of two lists of values, summed: one node of the graph."""
    x, y = list(map(_data, xs)), list(map(_data, ys))
    return Value(sum(map(mul, x, y), start.data), (start, *xs, *ys), (1.0, *y, *x))
