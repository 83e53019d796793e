"""Attention heads and the clip of their logits; the equations are proved in test_muon_chapter."""

import numpy as np
import pytest

from dlcourse.chapters.muon.attention import Clipping, Heads, clip_factor, toy_heads


@pytest.fixture
def tokens(rng):
    return rng.normal(size=(9, 12))


def logits_by_hand(heads, X, head, i, j):
    """One logit, entry by entry."""
    query, key = X[i] @ heads.W_q[head], X[j] @ heads.W_k[head]
    turned = (X[i] @ heads.W_qr[head]) @ (X[j] @ heads.W_kr)
    return (query @ key + turned) / np.sqrt(len(query) + heads.W_qr.shape[-1])


def test_each_logit_is_the_scaled_product_of_a_query_and_a_key(tokens, rng):
    heads = toy_heads(tokens, [50.0, 7.0], rng, d=4, d_rotary=2)
    logits = heads.logits(tokens)
    assert logits.shape == (2, 9, 9)
    for head, i, j in [(0, 0, 0), (0, 3, 8), (1, 8, 3)]:
        assert logits[head, i, j] == pytest.approx(logits_by_hand(heads, tokens, head, i, j))


def test_toy_heads_have_the_largest_logits_asked_for(tokens, rng):
    wanted = [1444.0, 250.0, 99.0]
    heads = toy_heads(tokens, wanted, rng)
    np.testing.assert_allclose(heads.largest_logits(tokens), wanted)


def test_a_clipping_reports_before_and_after(tokens, rng):
    clipping = Clipping(toy_heads(tokens, [1444.0, 99.0], rng), tokens, threshold=100.0)
    np.testing.assert_allclose(clipping.after, [100.0, 99.0])
    np.testing.assert_allclose(clipping.gamma, [100 / 1444, 1.0])
    assert "1444" in repr(clipping)


def test_heads_at_or_below_the_threshold_do_not_move_by_a_bit(tokens, rng):
    heads = toy_heads(tokens, [60.0, -3.0], rng)
    for before, after in zip(heads, heads.clipped(np.array([60.0, 100.0])), strict=True):
        np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(clip_factor(np.array([-5.0, 0.0, 100.0])), 1.0)


def test_the_input_is_left_alone(tokens, rng):
    heads = toy_heads(tokens, [500.0], rng)
    kept = Heads(*(weights.copy() for weights in heads))
    heads.clipped(np.array([500.0]))
    for before, after in zip(kept, heads, strict=True):
        np.testing.assert_array_equal(after, before)


def test_a_clip_without_the_root_would_be_caught(tokens, rng):
    heads = toy_heads(tokens, [500.0], rng)
    gamma = clip_factor(heads.largest_logits(tokens))[:, None, None]
    twice = heads._replace(W_q=gamma * heads.W_q, W_k=gamma * heads.W_k, W_qr=gamma * heads.W_qr)
    assert twice.largest_logits(tokens)[0] < 90.0
