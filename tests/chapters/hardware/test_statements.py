"""Claims of the chapter book/hardware.ipynb and the solutions of its exercises."""

import pytest

from dlcourse.compute.machines import hardware, roofline, throughput
from dlcourse.compute.machines.hardware import TERA, device
from dlcourse.compute.memory import states
from dlcourse.compute.models import architectures

SUBMISSIONS = throughput.Submissions()


@pytest.mark.parametrize("row", SUBMISSIONS.rows, ids=lambda row: f"{row.n_devices} {row.device}")
def test_a_submission_is_possible_and_saw_whole_epochs_of_imagenet(row):
    assert 30 < row.images / 1_281_167 < 90
    assert 0.05 < row.share_of_peak < 0.5
    flops = row.images * throughput.flops_per_image()
    at_peak = row.n_devices * device(row.device).peak(row.dtype) * 60 * row.minutes
    assert row.share_of_peak == pytest.approx(flops / at_peak)
    assert "MLPerf Training v" in row.source


def test_resnet_50_gained_what_the_bandwidth_gained():
    a100, h100 = SUBMISSIONS.of("A100", 64), SUBMISSIONS.of("H100", 64)
    gained = h100.images_per_second / a100.images_per_second
    wider = device("H100").bandwidth_bytes_per_second / device("A100").bandwidth_bytes_per_second
    higher = device("H100").peak("fp16") / device("A100").peak("fp16")
    assert gained == pytest.approx(wider, rel=0.05)
    assert gained < 0.6 * higher


def test_the_card_of_the_slide_was_never_submitted():
    with pytest.raises(ValueError, match="No submission with 1 RTX 4090"):
        SUBMISSIONS.of("RTX 4090", 1)


def test_operations_of_an_image_are_three_forward_passes_less_the_first_gradient():
    resnet = architectures.named("resnet50")
    forward = resnet.forward_flops(batch=1)
    first = 2 * 112 * 112 * 64 * 3 * 7 * 7  # of the input image nobody needs the gradient
    assert throughput.flops_per_image() == 3 * forward - first


def test_the_advertised_rate_of_the_4090_is_eight_times_what_training_gets():
    assert 1_321 / 8 * TERA == pytest.approx(device("RTX 4090").peak("bf16"), rel=0.001)


def test_the_h20_is_slower_at_products_and_faster_at_writing():
    h20, h100 = device("H20"), device("H100")
    one_user = roofline.matrix_vector(8_192, 8_192)
    writing = [roofline.least_seconds(one_user, d, "bf16") for d in (h20, h100)]
    assert writing[1] / writing[0] == pytest.approx(4.0 / 3.35, rel=0.005)
    training = roofline.product(8_192, 8_192, 8_192)
    seconds = [roofline.least_seconds(training, d, "bf16") for d in (h20, h100)]
    assert 6 < seconds[0] / seconds[1] < 7
    assert h20.balance("bf16") < 40


def test_a_single_text_leaves_the_arithmetic_idle():
    h100 = device("H100")
    rate = roofline.attainable(1.0, h100.peak("bf16"), h100.bandwidth_bytes_per_second)
    assert rate / h100.peak("bf16") < 0.01


def test_one_large_device_holds_a_model_of_seven_billion_weights():
    held = states.model_states(7_000_000_000)
    holds = [d.name for d in hardware.CATALOGUE.values() if d.memory_bytes > held.total]
    assert "H200 SXM" in holds
    assert "H100 SXM" not in holds
