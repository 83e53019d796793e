"""The formulas that docstrings show, evaluated with the functions' own arguments."""

from dlcourse.compute.models.parts import (
    attention_flops,
    causal_attention_flops,
    convolution_flops,
)


def test_a_convolution_costs_a_product_at_each_position_divided_by_its_groups(displayed):
    names = {"n": 35, "a": 9, r"c_{\text{in}}": 8, r"c_{\text{out}}": 12}
    shown = displayed("dlcourse.compute.models.parts.convolution_flops")
    assert shown.value(names | {"g": 4}) == convolution_flops(35, (8, 12), area=9, groups=4)


def test_attention_costs_every_query_with_every_key(displayed):
    names = {"h": 3, "d_k": 7, "d_v": 5, "n_q": 11, "n_k": 13}
    shown = displayed("dlcourse.compute.models.parts.attention_flops")
    assert shown.value(names) == attention_flops(3, head_widths=7 + 5, lengths=(11, 13))


def test_looking_back_only_costs_a_half_and_less_within_a_window(displayed):
    names = {"h": 3, "d_k": 7, "d_v": 5, "S": 22}
    shown = displayed("dlcourse.compute.models.parts.causal_attention_flops")
    for window, w in [(None, 22), (40, 22), (6, 6)]:
        assert shown.value(names | {"w": w}) == causal_attention_flops(3, 12, 22, window)
