r"""The pieces of a transformer block.

width     of the residual stream, d          n_heads   attention heads, h
hidden    width inside a feed-forward layer  biases    which of the maps q, k, v, o have one
"""

from dataclasses import dataclass

from dlcourse.compute.models.parts import (
    Load,
    Part,
    attention_flops,
    causal_attention_flops,
    linear_params,
    product_flops,
)


@dataclass(frozen=True)
class Attention:
    """Multi-head attention, also with fewer heads for keys and values than for queries.

    `memory_width` makes it cross-attention: keys and values come from the load's memory. Reference:
    Vaswani et al. (2017); Ainslie et al. (2023) for grouped queries.
    """

    width: int
    n_heads: int
    head_width: int
    n_key_value_heads: int
    biases: str = ""
    is_causal: bool = False
    window: int | None = None  # a token looks back at no more than so many
    memory_width: int | None = None

    def maps(self) -> dict[str, tuple[int, int]]:
        """Widths (in, out) of the four linear maps."""
        queries = self.n_heads * self.head_width
        keys = self.n_key_value_heads * self.head_width
        source = self.memory_width or self.width
        return {
            "q": (self.width, queries),
            "k": (source, keys),
            "v": (source, keys),
            "o": (queries, self.width),
        }

    def parts(self, load: Load) -> list[Part]:
        n_keys = load.memory if self.memory_width else load.length
        rows = {"q": load.tokens, "o": load.tokens}
        params = flops = 0
        for name, (n_in, n_out) in self.maps().items():
            params += linear_params(n_in, n_out, name in self.biases)
            flops += product_flops(rows.get(name, load.batch * n_keys), n_in, n_out)
        return [
            Part("attention maps", params, flops),
            Part("attention products", 0, load.batch * self.product_flops(load, n_keys)),
        ]

    def product_flops(self, load: Load, n_keys: int) -> int:
        """FLOPs of scores and weighted values in one sequence."""
        if load.is_causal and self.is_causal:
            heads, widths = self.n_heads, 2 * self.head_width
            return causal_attention_flops(heads, widths, load.length, self.window)
        return attention_flops(self.n_heads, 2 * self.head_width, (load.length, n_keys))


@dataclass(frozen=True)
class LatentAttention:
    """Multi-head latent attention: keys and values are spread out from one narrow vector a token.

    A query and a key have `plain_width` entries, and `rotary_width` more that carry the position;
    the heads share the rotary part of the key. Without `query_rank` the query is mapped at once.
    Reference: DeepSeek-AI (2024).
    """

    width: int
    n_heads: int
    query_rank: int | None
    key_value_rank: int
    plain_width: int
    rotary_width: int
    value_width: int
    bias: bool

    def maps(self) -> list[tuple[int, int, bool]]:
        """Widths (in, out) of the linear maps, and whether the map has a bias."""
        queries = self.n_heads * (self.plain_width + self.rotary_width)
        rank = self.key_value_rank
        query_maps = [(self.width, queries, False)]
        if self.query_rank:
            query_maps = [
                (self.width, self.query_rank, self.bias),
                (self.query_rank, queries, False),
            ]
        return [
            *query_maps,
            (self.width, rank + self.rotary_width, self.bias),
            (rank, self.n_heads * (self.plain_width + self.value_width), False),
            (self.n_heads * self.value_width, self.width, self.bias),
        ]

    def parts(self, load: Load) -> list[Part]:
        maps = self.maps()
        params = sum(linear_params(*shape) for shape in maps) + (self.query_rank or 0)
        flops = sum(product_flops(load.tokens, n_in, n_out) for n_in, n_out, _ in maps)
        widths = self.plain_width + self.rotary_width + self.value_width
        if load.is_causal:
            products = causal_attention_flops(self.n_heads, widths, load.length)
        else:
            products = attention_flops(self.n_heads, widths, (load.length, load.length))
        return [
            Part("attention maps", params + self.key_value_rank, flops),  # and the ranks' norms
            Part("attention products", 0, load.batch * products),
        ]


@dataclass(frozen=True)
class FeedForward:
    """Up to `hidden`, an activation, and down again; a gate is a second map up.

    Reference: Shazeer (2020) for gates.
    """

    width: int
    hidden: int
    is_gated: bool = False
    bias: bool = False
    name: str = "feed-forward"

    @property
    def n_maps(self) -> int:
        return 3 if self.is_gated else 2

    def params(self) -> int:
        bias_params = (self.n_maps - 1) * self.hidden + self.width
        return self.n_maps * self.width * self.hidden + self.bias * bias_params

    def flops(self, rows: int) -> int:
        return self.n_maps * product_flops(rows, self.width, self.hidden)

    def parts(self, load: Load) -> list[Part]:
        return [Part(self.name, self.params(), self.flops(load.tokens))]


@dataclass(frozen=True)
class Experts:
    """A mixture of experts: a router sends each token to `n_chosen` of `n_experts`.

    Every token also passes the `shared` layer, where there is one. Reference: Shazeer et al.
    (2017); Dai et al. (2024) for shared experts.
    """

    expert: FeedForward
    n_experts: int
    n_chosen: int
    shared: FeedForward | None = None
    router_bias: bool = False
    has_shared_gate: bool = False  # one number a token that scales the shared layer

    def parts(self, load: Load) -> list[Part]:
        width, one = self.expert.width, self.expert.params()
        rows = load.tokens * self.n_chosen
        idle = (self.n_experts - self.n_chosen) * one
        parts = [
            Part(
                "router",
                linear_params(width, self.n_experts, self.router_bias),
                product_flops(load.tokens, width, self.n_experts),
            ),
            Part("experts", self.n_experts * one, self.expert.flops(rows), idle_params=idle),
        ]
        if self.shared:
            parts.append(
                Part("shared expert", self.shared.params(), self.shared.flops(load.tokens))
            )
        if self.has_shared_gate:
            parts.append(Part("shared gate", width, product_flops(load.tokens, width, 1)))
        return parts
