"""Slides 36 to 39: operations, hours and prices, computed from named quantities."""

import pytest

from tests.book.errata.residual_network import n_parameters
from tests.book.errata.transformer import flops_per_token

HOUR, DAY = 3_600, 24 * 3_600  # seconds
A100_TF32 = 156e12  # FLOP/s without sparsity: NVIDIA A100 data sheet
H100_FP8, H100_BF16 = 1_979e12, 989e12  # likewise, H100 SXM; the H800 has the same units


def training_flops(n_weights, n_tokens):
    """The rule of six: two operations a weight and token forward, four backward."""
    return 6 * n_weights * n_tokens


@pytest.mark.erratum("E44")
@pytest.mark.parametrize("length", [16, 64, 256, 1_024])
def test_cost_is_proportional_to_the_product_and_attention_adds_to_it(length, printed):
    n_layers, width, n_words = 4, 256, 100
    n_weights, counted = flops_per_token(n_layers, width, n_words, length)
    assert n_weights == 12 * n_layers * width**2 + n_words * width
    assert counted == pytest.approx(6 + 12 * n_layers * width * length / n_weights, abs=1e-12)
    printed.agrees(**{f"length_{length}": counted})


@pytest.mark.erratum("E46")
def test_resnet_50_holds_more_than_twice_twelve_million_parameters(printed):
    resnet_50, resnet_18 = n_parameters((3, 4, 6, 3), True), n_parameters((2, 2, 2, 2), False)
    printed.agrees(resnet_50=resnet_50, resnet_18=resnet_18)
    printed.differs(million=resnet_50 / 1e6)
    printed.agrees(million=resnet_18 / 1e6)  # of the smallest one the figure would be right


IMAGENET, EPOCHS = 1_281_167, 90  # training images, passes of the usual recipe
IMAGES_PER_SECOND = 7_248  # NVIDIA DeepLearningExamples, 8 A100 in TF32


@pytest.mark.erratum("E47")
def test_resnet_50_takes_hours_in_tf32_and_not_half_an_hour(printed):
    hours = EPOCHS * IMAGENET / IMAGES_PER_SECOND / HOUR
    printed.agrees(hours=hours)
    printed.differs(minutes=60 * hours)
    within_half_an_hour = IMAGES_PER_SECOND * HOUR / 2 / IMAGENET
    printed.agrees(epochs=within_half_an_hour)


@pytest.mark.erratum("E48")
def test_the_hours_on_one_4090_inherit_the_half_hour(printed):
    slowdown = 8 * 1.5  # one card for eight, and each half as slow again: the slide's factors
    printed.agrees(inherited=0.5 * slowdown)
    from_five_hours = 5 * slowdown
    printed.agrees(hours=from_five_hours)
    assert not 6 <= from_five_hours <= 10


@pytest.mark.erratum("E49")
def test_the_text_that_bert_read_is_a_tenth_of_170_gigabytes(printed):
    n_words = 2_500e6 + 800e6  # Wikipedia and BooksCorpus: Devlin et al. (2019)
    low, high = (n_words * n_bytes / 1e9 for n_bytes in (5, 6))  # bytes a word, with its space
    printed.agrees(low=low, high=high)
    printed.differs(slide=high)
    assert low < 170 / 8


@pytest.mark.erratum("E50")
def test_five_hours_for_bert_need_more_than_the_peak_of_eight_a100(printed):
    steps, batch_size, n_layers, width, n_words = {128: 0.9e6, 512: 0.1e6}, 256, 12, 768, 30_522
    flops = n_tokens = 0
    for length, n_steps in steps.items():
        n_weights, each = flops_per_token(n_layers, width, 1, length)
        n_with_words, each_with_words = flops_per_token(n_layers, width, n_words, length)
        body, whole = each * n_weights, each_with_words * n_with_words
        tokens = batch_size * n_steps * length
        n_tokens += tokens
        flops += tokens * (body + 0.15 * (whole - body))  # masked: the paper, section 3.1
    needed = flops / (5 * HOUR) / 8
    assert needed > A100_TF32
    by_rule = training_flops(110e6, n_tokens)
    printed.agrees(weights=n_weights / 1e6, rule=by_rule, by_rule=by_rule / (5 * HOUR) / 8 / 1e12)
    printed.agrees(above=100 * (needed / A100_TF32 - 1))
    assumed = 80e12  # FLOP/s of a card, on the slide
    hours = flops / (8 * assumed) / HOUR
    printed.agrees(flops=flops, needed=needed / 1e12, hours=hours)
    printed.agrees(peak=A100_TF32 / 1e12, assumed=assumed / 1e12)
    printed.differs(slide=hours)


@pytest.mark.erratum("E51")
def test_gpt_3_takes_44_and_a_half_days_at_the_throughput_of_the_slide(printed):
    flops = training_flops(175e9, 300e9)
    assert flops == 3.15e23

    def days(flops_per_second):
        return flops / (flops_per_second * 128 * 8) / DAY

    assumed, lower = 80e12, 70e12
    printed.differs(slide=days(assumed))
    printed.agrees(days=days(assumed), slide=days(lower))
    printed.agrees(lower=lower / 1e12, at_lower=days(lower), share=100 * assumed / A100_TF32)


@pytest.mark.erratum("E52")
def test_at_one_price_an_hour_the_two_models_are_eleven_times_apart(printed):
    v3_hours, llama_hours, price = 2.788e6, 30.84e6, 2.0  # the slide's own, dollars an hour
    printed.agrees(price=price, llama_hours=llama_hours / 1e6)
    printed.agrees(v3=v3_hours * price / 1e6, llama=llama_hours * price / 1e6)
    printed.agrees(times=llama_hours / v3_hours)
    implied = [cost / llama_hours for cost in (160e6, 200e6)]
    printed.agrees(price_low=implied[0], price_high=implied[1])
    assert min(implied) > 2.5 * price
    printed.agrees(as_printed_low=160 / 5.576, as_printed_high=200 / 5.576)


@pytest.mark.erratum("E53")
def test_the_compute_power_of_the_slide_is_what_was_achieved_and_a_sixth_of_the_peak(printed):
    achieved = training_flops(37e9, 14.8e12) / (2_664e3 * HOUR)
    printed.agrees(achieved=achieved / 1e12)
    printed.agrees(peak_fp8=H100_FP8 / 1e12, peak_bf16=H100_BF16 / 1e12)
    printed.agrees(fp8=100 * achieved / H100_FP8, bf16=100 * achieved / H100_BF16)
    assert achieved < H100_FP8 / 5


@pytest.mark.erratum("E54")
def test_the_sums_of_the_cost_table_are_right(printed):
    pretraining, extension, posttraining = 2_664e3, 119e3, 5e3  # hours
    assert pretraining + extension + posttraining == 2_788e3
    assert 2 * 2_788e3 == 5.576e6
    printed.agrees(flops=training_flops(37e9, 14.8e12), seconds=pretraining * HOUR)
    for hours, cost in ((pretraining, 5.328e6), (extension, 0.238e6), (posttraining, 0.01e6)):
        assert 2 * hours == cost
