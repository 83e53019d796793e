"""The displays of the docstrings, evaluated with the functions' own arguments."""

from dlcourse.chapters.muon.attention import Heads


def test_a_logit_adds_the_content_and_the_rotary_part(displayed, rng):
    shapes = (2, 6, 3), (2, 6, 3), (2, 6, 5), (6, 5)
    heads, X = Heads(*(rng.normal(size=shape) for shape in shapes)), rng.normal(size=(4, 6))
    for h, logits in enumerate(heads.logits(X)):
        names = {"S": logits, "d": 3, "d_R": 5, "i": 1, "j": 2}
        weights = {"q": heads.W_q[h], "k": heads.W_k[h], "q^R": heads.W_qr[h], "k^R": heads.W_kr}
        names |= {name: [x[None] @ W for x in X] for name, W in weights.items()}
        assert displayed("dlcourse.chapters.muon.attention.Heads.logits").holds(names)
