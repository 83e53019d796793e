"""Networks in torch, written from the same sizes as the closed forms and apart from them.

Attention is eager: scores are a product, and so is their sum over values. Experts are gathered and
applied as one batched product, so that the meta device need not know the router's choice.
"""

import torch
from torch import nn


class Attention(nn.Module):
    """Grouped-query attention, or attention to another sequence."""

    def __init__(self, c, source=None):
        super().__init__()
        d, self.width = c["hidden_size"], c["head_dim"]
        self.heads, self.key_heads = c["num_attention_heads"], c["num_key_value_heads"]
        source, bias = source or d, c.get("attention_bias", False)
        self.q = nn.Linear(d, self.heads * self.width, bias)
        self.k = nn.Linear(source, self.key_heads * self.width, bias)
        self.v = nn.Linear(source, self.key_heads * self.width, bias)
        self.o = nn.Linear(self.heads * self.width, d, bias)

    def forward(self, x, memory=None):
        memory = x if memory is None else memory
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k = self.k(memory).unflatten(-1, (self.key_heads, -1)).transpose(1, 2)
        v = self.v(memory).unflatten(-1, (self.key_heads, -1)).transpose(1, 2)
        shared = self.heads // self.key_heads
        k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
        weights = (q @ k.transpose(-1, -2)).softmax(-1)
        return self.o((weights @ v).transpose(1, 2).flatten(2))


class LatentAttention(nn.Module):
    """Multi-head latent attention; the rotation of positions, which has no products, left out."""

    def __init__(self, c):
        super().__init__()
        d, self.heads = c["hidden_size"], c["num_attention_heads"]
        plain, rotary, value = (c[f"{n}_head_dim"] for n in ("qk_nope", "qk_rope", "v"))
        self.widths, self.rank = (plain, rotary, value), c["kv_lora_rank"]
        rank = c["q_lora_rank"]
        wide = self.heads * (plain + rotary)
        self.q = nn.Linear(d, wide, False)
        if rank:
            down, up = nn.Linear(d, rank, False), nn.Linear(rank, wide, False)
            self.q = nn.Sequential(down, nn.RMSNorm(rank), up)
        self.down = nn.Linear(d, self.rank + rotary, False)
        self.norm = nn.RMSNorm(self.rank)
        self.up = nn.Linear(self.rank, self.heads * (plain + value), False)
        self.o = nn.Linear(self.heads * value, d, False)

    def forward(self, x):
        plain, rotary, value = self.widths
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        latent, shared = self.down(x).split((self.rank, rotary), -1)
        spread = self.up(self.norm(latent)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = spread.split((plain, value), -1)
        shared = shared.unsqueeze(1).expand(-1, self.heads, -1, -1)
        weights = (q @ torch.cat((k, shared), -1).transpose(-1, -2)).softmax(-1)
        return self.o((weights @ v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, d, hidden, is_gated, bias=False):
        super().__init__()
        self.up, self.down = nn.Linear(d, hidden, bias), nn.Linear(hidden, d, bias)
        self.gate = nn.Linear(d, hidden, bias) if is_gated else None

    def forward(self, x):
        gate = 1 if self.gate is None else nn.functional.silu(self.gate(x))
        return self.down(self.up(x) * gate)


class Experts(nn.Module):
    """A router and gated experts, with a shared one if the config has it."""

    def __init__(self, c):
        super().__init__()
        d, hidden, n = c["hidden_size"], c["moe_intermediate_size"], c["n_routed_experts"]
        self.router, self.n_chosen = nn.Linear(d, n, False), c["num_experts_per_tok"]
        self.up = nn.Parameter(torch.empty(n, d, 2 * hidden))
        self.down = nn.Parameter(torch.empty(n, hidden, d))
        self.shared = FeedForward(d, c["n_shared_experts"] * hidden, is_gated=True)

    def forward(self, x):
        tokens = x.flatten(0, 1)
        weights, chosen = self.router(tokens).softmax(-1).topk(self.n_chosen)
        rows = tokens.repeat_interleave(self.n_chosen, 0).unsqueeze(1)
        gate, up = torch.bmm(rows, self.up[chosen.flatten()]).chunk(2, -1)
        out = torch.bmm(nn.functional.silu(gate) * up, self.down[chosen.flatten()])
        out = (out.squeeze(1) * weights.flatten()[:, None]).unflatten(0, (-1, self.n_chosen)).sum(1)
        return out.view_as(x) + self.shared(x)


class Decoder(nn.Module):
    """Llama's kind, and DeepSeek's where the config has its fields."""

    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.embedding = nn.Embedding(c["vocab_size"], d)
        self.blocks = nn.ModuleList()
        for i in range(c["num_hidden_layers"]):
            attention = LatentAttention(c) if "kv_lora_rank" in c else Attention(c)
            is_sparse = "n_routed_experts" in c and i >= c["first_k_dense_replace"]
            dense = FeedForward(d, c["intermediate_size"], True, c.get("mlp_bias", False))
            second = Experts(c) if is_sparse else dense
            self.blocks.append(nn.ModuleList([nn.RMSNorm(d), attention, nn.RMSNorm(d), second]))
        self.norm = nn.RMSNorm(d)
        self.head = nn.Linear(d, c["vocab_size"], False)
        if c["tie_word_embeddings"]:
            self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens)
        for first_norm, attention, second_norm, feed_forward in self.blocks:
            x = x + attention(first_norm(x))
            x = x + feed_forward(second_norm(x))
        return self.head(self.norm(x))


class Translator(nn.Module):
    """T5's kind: an encoder, and a decoder that reads it."""

    def __init__(self, c):
        super().__init__()
        d, heads, self.d = c["d_model"], c["num_heads"], c["d_model"]
        sizes = {
            "hidden_size": d,
            "head_dim": c["d_kv"],
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
        }
        is_gated = "gated" in c["feed_forward_proj"]
        self.embedding = nn.Embedding(c["vocab_size"], d)
        buckets = c["relative_attention_num_buckets"]
        self.positions = nn.ModuleList(nn.Embedding(buckets, heads) for _ in range(2))

        def layer(part):
            return nn.ModuleList([nn.RMSNorm(d), part])

        self.encoder = nn.ModuleList(
            nn.ModuleList([layer(Attention(sizes)), layer(FeedForward(d, c["d_ff"], is_gated))])
            for _ in range(c["num_layers"])
        )
        self.decoder = nn.ModuleList(
            nn.ModuleList(
                [
                    layer(Attention(sizes)),
                    layer(Attention(sizes, source=d)),
                    layer(FeedForward(d, c["d_ff"], is_gated)),
                ]
            )
            for _ in range(c["num_decoder_layers"])
        )
        self.norms = nn.ModuleList([nn.RMSNorm(d), nn.RMSNorm(d)])

    def forward(self, tokens):
        memory = x = self.embedding(tokens)
        for (norm, attention), (second, feed_forward) in self.encoder:
            memory = memory + attention(norm(memory))
            memory = memory + feed_forward(second(memory))
        memory = self.norms[0](memory)
        for (norm, attention), (middle, cross), (second, feed_forward) in self.decoder:
            x = x + attention(norm(x))
            x = x + cross(middle(x), memory)
            x = x + feed_forward(second(x))
        return self.norms[1](x) @ self.embedding.weight.T


class VisionTransformer(nn.Module):
    def __init__(self, record):
        super().__init__()
        d, self.n = record.width, (record.image_size // record.patch_size) ** 2
        sizes = {
            "hidden_size": d,
            "head_dim": d // record.n_heads,
            "num_attention_heads": record.n_heads,
            "num_key_value_heads": record.n_heads,
            "attention_bias": True,
        }
        self.patches = nn.Conv2d(3, d, record.patch_size, record.patch_size)
        self.token = nn.Parameter(torch.empty(1, 1, d))
        self.positions = nn.Parameter(torch.empty(1, self.n + 1, d))
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [nn.LayerNorm(d), Attention(sizes), nn.LayerNorm(d), FeedForward(d, 4 * d, 0, True)]
            )
            for _ in range(record.n_layers)
        )
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, record.n_classes)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), 1) + self.positions
        for first_norm, attention, second_norm, feed_forward in self.blocks:
            x = x + attention(first_norm(x))
            x = x + feed_forward(second_norm(x))
        return self.head(self.norm(x)[:, 0])


class ResidualNetwork(nn.Module):
    """ResNet and ResNeXt from the fields of their record."""

    def __init__(self, record):
        super().__init__()
        self.stem = self.normed(3, 64, 7, 2)
        self.pool, self.blocks, n_in = nn.MaxPool2d(3, 2, 1), nn.ModuleList(), 64
        for stage, depth in enumerate(record.depths):
            planes = 64 * 2**stage
            n_out = 4 * planes if record.has_bottleneck else planes
            for i in range(depth):
                stride = 2 if stage and not i else 1
                path = self.path(record, (n_in, planes, n_out), stride)
                is_plain = n_in == n_out and stride == 1
                skip = nn.Identity() if is_plain else self.normed(n_in, n_out, 1, stride)
                self.blocks.append(nn.ModuleList([path, skip]))
                n_in = n_out
        self.head = nn.Linear(n_in, record.n_classes)

    @staticmethod
    def normed(n_in, n_out, kernel, stride=1, groups=1):
        convolution = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, 1, groups, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(n_out).eval())

    def path(self, record, channels, stride):
        n_in, planes, n_out = channels
        if not record.has_bottleneck:
            return nn.Sequential(self.normed(n_in, n_out, 3, stride), self.normed(n_out, n_out, 3))
        inner = planes * record.group_width // 64 * record.n_groups
        return nn.Sequential(
            self.normed(n_in, inner, 1),
            self.normed(inner, inner, 3, stride, record.n_groups),
            self.normed(inner, n_out, 1),
        )

    def forward(self, image):
        x = self.pool(self.stem(image))
        for path, skip in self.blocks:
            x = (path(x) + skip(x)).relu()
        return self.head(x.mean((2, 3)))
