"""The numbers of slides 36, 38 and 39, each computed again.

A claim is what the slide prints; beside it stands what the package finds, with an interval where it
is a prediction, and a verdict: right, wrong, impossible (a bound is broken), or unusual.
"""

from dataclasses import dataclass, replace

from dlcourse.compute.machines import hardware
from dlcourse.compute.models import architectures
from dlcourse.compute.runs import hours, records, sceptic
from dlcourse.compute.runs.run_flops import rule_of_six
from dlcourse.tables import PrintsTable, Table

IMAGENET, EPOCHS = 1_281_167, 90  # images, and passes of the usual recipe
BERT_STEPS = {128: 0.9e6, 512: 0.1e6}  # of 256 sequences, at each length: Devlin et al. (2019)
BERT_TOKENS = 256 * sum(length * n_steps for length, n_steps in BERT_STEPS.items())
BERT_MASKED = 0.15  # the share of positions at which BERT predicts the word
SQUAD = {"sequences": 2 * 88_524, "length": 384}  # two passes over the windows of the questions
GPT3 = {"n_layer": 96, "n_embd": 12_288, "n_head": 96, "vocab_size": 50_257, "n_positions": 2_048}
V3_HOURS = {"pre-training": 2_664e3, "context extension": 119e3, "post-training": 5e3}
V3_TOKENS, V3_ACTIVE, V3_PRICE = 14.8e12, 37e9, 2.0
LLAMA_HOURS, LLAMA_PRINTED = 30.84e6, (160e6, 200e6)  # model card of Llama 3.1 405B; the slide


@dataclass(frozen=True)
class Claim:
    """One number of a slide, what was found, and how the two compare."""

    what: str
    printed: str
    found: str
    verdict: str


@dataclass(frozen=True, repr=False)
class Claims(PrintsTable):
    """The claims of one slide."""

    rows: tuple[Claim, ...]

    def __getitem__(self, what: str) -> Claim:
        return next(row for row in self.rows if row.what == what)

    def table(self):
        return Table(
            {
                "slide": [row.what for row in self.rows],
                "printed": [row.printed for row in self.rows],
                "found": [row.found for row in self.rows],
                "verdict": [row.verdict for row in self.rows],
            }
        )


def run(what: str, device: str = "A100", n_chips: int = 8, **fields) -> records.Run:
    """A training run of slide 38 as a record; `fields` change it."""
    recipe = {
        "ResNet-50": {"kind": "cnn", "params_total": 25_557_032, "data_unit": "images"},
        "BERT": {"kind": "encoder", "params_total": 110e6, "data_unit": "tokens"},
        "SQuAD": {"kind": "encoder", "params_total": 335e6, "data_unit": "sequences"},
        "GPT-3": {"kind": "dense-decoder", "params_total": 175e9, "data_unit": "tokens"},
    }[what]
    data = {
        "ResNet-50": {"data_count": EPOCHS * IMAGENET},
        "BERT": {"data_count": BERT_TOKENS, "flops_exact_op_count": bert_flops(BERT_STEPS, 256)},
        "SQuAD": {"data_count": SQUAD["sequences"], "seq_len": SQUAD["length"]},
        "GPT-3": {"data_count": 300e9, "seq_len": 2_048},
    }[what]
    machine = {"accelerator": device, "n_accel": n_chips, "precision": "tf32"}
    return records.read({"model": what} | recipe | data | machine | fields, is_strict=True)


def bert_flops(steps: dict[int, float], batch_size: float) -> float:
    """FLOPs of training BERT base for that many steps at each length.

    The rule of six with all of its parameters would count the table of words at every position. It
    is looked up there, and multiplies only where a masked word is predicted.
    """
    names = ("BertModel", "BertForPreTraining")
    without, with_words = (
        architectures.from_config({"model_type": "bert", "architectures": [name]}) for name in names
    )
    total = 0.0
    for length, n_steps in steps.items():
        body, whole = (net.train_step_flops(length) for net in (without, with_words))
        total += n_steps * batch_size * (body + BERT_MASKED * (whole - body))
    return total


def slide_38() -> Claims:
    """Sizes and times of ResNet-50, BERT and GPT-3."""
    resnet = architectures.named("resnet50").params()
    days = hours.chip_hours(rule_of_six(175e9, 300e9), 80 / 156, 156e12) / 1024 / 24
    rows = [
        Claim("ResNet-50, parameters", "12 million", f"{resnet / 1e6:.1f} million", "wrong"),
        timed("ResNet-50, 8 A100 in TF32", "30 min", run("ResNet-50"), 0.5, "h"),
        timed("ResNet-50, one 4090", "6 to 10 h", run("ResNet-50", "RTX 4090", 1), 10, "h"),
        timed("BERT, 8 A100 in TF32", "5 h", run("BERT"), 5, "h"),
        timed("SQuAD with BERT large", "3 to 5 min", run("SQuAD"), 5 / 60, "min"),
        Claim("GPT-3, FLOPs", "3.15e23", f"{rule_of_six(175e9, 300e9):.3g}", "right"),
        Claim("GPT-3, days at 80 TFLOP/s", "51", f"{days:.1f}", "wrong"),
        timed("GPT-3, 1,024 A100", "51 to 100 days", run("GPT-3", n_chips=1024), 2_400, "days"),
    ]
    return Claims(tuple(rows))


def timed(what: str, printed: str, of: records.Run, claimed_hours: float, unit: str) -> Claim:
    """A claim about hours: the prediction with its 90 % interval, and the sceptic's verdict.

    Of a range the most generous end is judged.
    """
    scale = {"h": 1, "min": 60, "days": 1 / 24}[unit]
    predicted = hours.predict(of)
    low, median, high = (_sized(scale * predicted.wall_hours(q)) for q in (0.05, 0.5, 0.95))
    finding = sceptic.examine(claiming(of, claimed_hours))
    broken = " and ".join(f"more than {bound.name}" for bound in finding.broken)
    verdict = f"impossible: {broken}" if broken else finding.remark.split(":")[0]
    return Claim(what, printed, f"{median} {unit} ({low} to {high})", verdict)


def claiming(of: records.Run, wall_hours: float) -> records.Run:
    """The run with those hours on the clock."""
    return replace(of, chip_hours=wall_hours * of.n_chips)


def slide_39() -> Claims:
    """FLOPs, rate and cost of DeepSeek-V3, and of Llama 3.1 405B beside it."""
    total_hours = sum(V3_HOURS.values())
    flops, seconds = rule_of_six(V3_ACTIVE, V3_TOKENS), 3600 * V3_HOURS["pre-training"]
    rate, chip = flops / seconds, hardware.device("H800")
    shares = {dtype: rate / chip.peak(dtype) for dtype in ("fp8", "bf16")}
    exact = deepseek_v3().train_step_flops(4_096, causal=True) / 4_096 * V3_TOKENS
    llama = LLAMA_HOURS * V3_PRICE
    low, high = (cost / LLAMA_HOURS for cost in LLAMA_PRINTED)
    rows = [
        Claim("V3, hours in all", "2788K", f"{total_hours / 1e3:.0f}K", "right"),
        Claim("V3, cost at $2 an hour", "$5.576M", f"${total_hours * 2 / 1e6:.3f}M", "right"),
        Claim("V3, FLOPs by the rule of six", "3.3e24", f"{flops:.2e}", "right"),
        Claim("V3, FLOPs counted, causal", "", f"{exact:.2e}", "not on the slide"),
        Claim("V3, GPU-seconds", "9.6e9", f"{seconds:.2e}", "right"),
        Claim(
            "V3, 'compute power in FP8'",
            "3.4e14 FLOP/s",
            f"{rate:.2e}: {shares['fp8']:.0%} of FP8's peak, {shares['bf16']:.0%} of BF16's",
            "achieved, not peak",
        ),
        Claim("Llama, cost at $2 an hour", "$160 to 200M", f"${llama / 1e6:.1f}M", "wrong"),
        Claim("Llama, the price that is implied", "", f"${low:.1f} to {high:.1f}", "another price"),
    ]
    return Claims(tuple(rows))


@dataclass(frozen=True)
class Beside:
    """What the text says beside slides 38 and 39 and no row of theirs shows."""

    resnet: sceptic.Finding  # of ResNet-50 in half an hour
    bert: sceptic.Finding  # of BERT in five hours
    gpt3_days: dict[str, float]  # predicted on 1,024 A100, by precision
    v3_shares: dict[str, float]  # of the H800's peak that DeepSeek-V3 reached, by precision

    def prose(self, slide_38: Claims, slide_39: Claims) -> dict[str, str]:
        """These numbers and two of the slides' rows, rounded as they are read."""
        flops = {"llama": rule_of_six(405e9, 15.6e12), "v3": rule_of_six(V3_ACTIVE, V3_TOKENS)}
        return {
            "cost_a100_tf32": f"{hardware.device('A100').peak('tf32') / 1e12:.0f}",
            "cost_resnet_needed": f"{self.resnet.bounds[0].needed:.0f}",
            "cost_bert_needed": f"{self.bert.bounds[0].needed:.0f}",
            "cost_bert_by_rule": f"{rule_of_six(110e6, BERT_TOKENS) / (5 * 3600 * 8) / 1e12:.0f}",
            "cost_gpt3_days": slide_38["GPT-3, days at 80 TFLOP/s"].found,
            "cost_gpt3_share": f"{80 / 156:.0%}",
            "cost_gpt3_days_predicted": f"{self.gpt3_days['tf32']:.0f}",
            "cost_gpt3_days_bf16": f"{self.gpt3_days['bf16']:.0f}",
            "cost_v3_share": f"{self.v3_shares['fp8']:.0%}",
            "cost_v3_share_bf16": f"{self.v3_shares['bf16']:.0%}",
            "cost_llama_price": slide_39["Llama, the price that is implied"].found.lstrip("$"),
            "cost_llama_ratio": f"{LLAMA_HOURS / sum(V3_HOURS.values()):.1f}",
            "cost_flops_ratio": f"{flops['llama'] / flops['v3']:.1f}",
        }


def beside() -> Beside:
    """Judge and predict what the text compares with the slides."""
    resnet, bert = claiming(run("ResNet-50"), 0.5), claiming(run("BERT"), 5)
    gpt3 = {dtype: run("GPT-3", n_chips=1024, precision=dtype) for dtype in ("tf32", "bf16")}
    rate = rule_of_six(V3_ACTIVE, V3_TOKENS) / (3600 * V3_HOURS["pre-training"])
    return Beside(
        resnet=sceptic.examine(resnet),
        bert=sceptic.examine(bert),
        gpt3_days={dtype: hours.predict(one).wall_hours() / 24 for dtype, one in gpt3.items()},
        v3_shares={dtype: rate / hardware.device("H800").peak(dtype) for dtype in ("fp8", "bf16")},
    )


def deepseek_v3() -> architectures.Architecture:
    """DeepSeek-V3 without its second head. Reference: DeepSeek-AI (2024)."""
    return architectures.from_config({"model_type": "deepseek_v3"})


def per_token(lengths) -> Table:
    """FLOPs a parameter and token of a training step of GPT-3, counted and by 6 N + 12 L d s."""
    network = architectures.from_config({"model_type": "gpt2"} | GPT3)
    n_layers, width = GPT3["n_layer"], GPT3["n_embd"]
    n = 12 * n_layers * width**2 + width * GPT3["vocab_size"]  # what multiplies; the head does
    counted = [network.train_step_flops(s) / s / n for s in lengths]
    causal = [network.train_step_flops(s, causal=True) / s / n for s in lengths]
    return Table(
        {
            "context": list(lengths),
            "counted": [f"{c:.3f}" for c in counted],
            "6 + 12 L d s / N": [f"{6 + 12 * n_layers * width * s / n:.3f}" for s in lengths],
            "counted, causal": [f"{c:.3f}" for c in causal],
        }
    )


def _sized(value):
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def vit_22b() -> records.Run:
    """ViT-22B with the hours of a table of models. Reference: Dehghani et al. (2023).

    The hours are those of Epoch AI's notable models, February 2025.
    """
    record = {"model": "ViT-22B", "kind": "vit", "params_total": 21.743e9, "data_unit": "images"}
    record |= {"data_count": 177_000 * 65_536, "seq_len": 256, "precision": "bf16"}
    record |= {"accelerator": "TPU v4", "n_accel": 1024, "wall_clock_h": 347.4}
    return records.read(record, is_strict=True)


LLAMA_2 = {  # Touvron et al. (2023), Llama 2, table 2: parameters and hours of A100
    "7B": (6.738e9, 184_320),
    "13B": (13.016e9, 368_640),
    "34B": (33.74e9, 1_038_336),
    "70B": (68.977e9, 1_720_320),
}


def llama_2(size: str, with_hours: bool = False) -> records.Run:
    """A run of the Llama 2 family, which is not among the runs of the fit."""
    params, chip_hours = LLAMA_2[size]
    record = {"model": f"Llama-2-{size}", "family": "Llama-2", "kind": "dense-decoder"}
    record |= {"params_total": params, "data_unit": "tokens", "data_count": 2e12, "seq_len": 4_096}
    record |= {"accelerator": "A100", "precision": "bf16"}
    return records.read(record | ({"chip_hours": chip_hours} if with_hours else {}))


@dataclass(frozen=True, repr=False)
class Sharpened(PrintsTable):
    """Llama 2 predicted before and after its smallest model is known; hours of A100."""

    before: dict[str, hours.Hours]
    after: dict[str, hours.Hours]

    def table(self):
        def interval(found):
            low, median, high = (found.chip_hours(q) / 1e3 for q in (0.05, 0.5, 0.95))
            return f"{median:,.0f} ({low:,.0f} to {high:,.0f})"

        return Table(
            {
                "Llama 2": list(self.before),
                "actual, 1,000 h": [f"{LLAMA_2[size][1] / 1e3:,.0f}" for size in self.before],
                "before": [interval(found) for found in self.before.values()],
                "7B known": [interval(found) for found in self.after.values()],
            }
        )


def sharpened() -> Sharpened:
    """Predictions of the larger Llama 2 models, without and with the hours of the smallest."""
    sizes = list(LLAMA_2)[1:]
    known = (llama_2("7B", with_hours=True),)
    before = {size: hours.predict(llama_2(size)) for size in sizes}
    return Sharpened(before, {size: hours.predict(llama_2(size), known) for size in sizes})


def one_pass_of_finbert() -> hours.Hours:
    """One pass of BERT's size over the 4.9 billion tokens of Huang et al. (2023), on one card."""
    record = {"model": "FinBERT", "kind": "encoder", "params_total": 110e6, "data_unit": "tokens"}
    record |= {"data_count": 4.9e9, "seq_len": 512, "accelerator": "RTX 4090", "n_accel": 1}
    record |= {"flops_exact_op_count": bert_flops({512: 4.9e9 / 512}, 1)}
    return hours.predict(records.read(record, is_strict=True))
