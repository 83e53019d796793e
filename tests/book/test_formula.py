"""The reader of displayed LaTeX: what it reads, what it refuses, and that its mutants are told."""

import itertools
import math

import numpy as np
import pytest

from tools.formula import Display, Unread, displayed, one_based
from tools.formula.mutants import mutants
from tools.formula.trial import Trial


def value(tex, worlds):
    return Display("eq-planted", tex).value({}, worlds)


A = np.array([[2.0, 1.0], [0.5, 3.0]])
B = np.array([[1.0, -1.0], [4.0, 2.0]])
COLUMN = np.array([[3.0], [4.0]])
WORDED = r"\begin{cases} x & \text{at once}, \\ x + 1 & \text{otherwise.} \end{cases}"
CASES = r"\begin{cases} x & \text{if } x \ge 0, \\ -x & \text{otherwise.} \end{cases}"


@pytest.mark.parametrize(
    ("tex", "names", "right"),
    [
        (r"\frac12 a b", {"a": 3.0, "b": 4.0}, 6.0),
        (r"2 + 3 \cdot 4 - 10", {}, 4.0),
        (r"a - b - c", {"a": 1.0, "b": 2.0, "c": 3.0}, -4.0),
        (r"-a^2", {"a": 3.0}, -9.0),
        (r"(-a)^2", {"a": 3.0}, 9.0),
        (r"a b / c", {"a": 6.0, "b": 2.0, "c": 3.0}, 4.0),
        (r"0.5 x^{12}", {"x": 1.1}, 0.5 * 1.1**12),
        (r"x^12", {"x": 3.0}, 6.0),  # TeX: x to the 1, then 2
        (r"\sqrt{\beta_2}^{\,k-i}", {r"\beta_2": 0.5, "k": 3, "i": 1}, 0.5),
        (r"\sqrt m", {"m": 9.0}, 3.0),
        (r"\log_2 8", {}, 3.0),
        (r"\log(1 + x) y", {"x": math.e - 1, "y": 5.0}, 5.0),
        (r"\log x y", {"x": 2.0, "y": 3.0}, math.log(6)),
        (r"e^{-x}", {"x": 2.0}, math.exp(-2)),
        (r"\sum_{i=1}^{n} x_i + 100", {"n": 3, "x": one_based([1.0, 2.0, 3.0])}, 106.0),
        (r"\sum_{i=1}^n \sum_{j=1}^i j", {"n": 3}, 10.0),
        (r"\prod_{j=1}^{k} (1 - \frac1{j + 1})", {"k": 4}, 0.2),
        (r"\sum_{i \in S} i^2", {"S": (1, 2, 4)}, 21.0),
        (r"\sum_{i \ne j} i", {"i": range(1, 5), "j": 3}, 7.0),
        (r"\min_{|x - a| \le b} a x", {"x": [1.0, 2.0, 5.0], "a": 3.0, "b": 2.0}, 3.0),
        (r"\min_{|x - a| < b} a x", {"x": [1.0, 2.0, 5.0], "a": 3.0, "b": 2.0}, 6.0),
        (r"\max_j s_j - \min_j s_j", {"j": range(1, 4), "s": one_based([2.0, 7.0, 3.0])}, 5.0),
        (r"\max(a, b) \min\{a, b\}", {"a": 2.0, "b": 5.0}, 10.0),
        (r"\int_0^2 s^3 \, ds", {}, 4.0),
        (r"\lvert -3 \rvert + |2 - 5|", {}, 6.0),
        (r"\lceil x \rceil - \lfloor x \rfloor", {"x": 2.5}, 1.0),
        (r"\lVert v \rVert^2", {"v": COLUMN}, 25.0),
        (r"\lVert A \rVert_F", {"A": A}, np.linalg.norm(A)),
        (r"\lVert A \rVert_*", {"A": A}, np.linalg.norm(A, "nuc")),
        (r"\lVert A \rVert_2", {"A": A}, np.linalg.norm(A, 2)),
        (r"v^\top A v", {"A": A, "v": COLUMN}, (COLUMN.T @ A @ COLUMN).item()),
        (r"(A B)^{-1} A", {"A": A, "B": B}, np.linalg.inv(A @ B) @ A),
        (r"A^{-\top}", {"A": A}, np.linalg.inv(A).T),
        (r"A^2", {"A": A}, A @ A),
        (r"\operatorname{tr} A B", {"A": A, "B": B}, np.trace(A @ B)),
        (r"\langle A, B \rangle", {"A": A, "B": B}, (A * B).sum()),
        (r"[A B]_{12}", {"A": A, "B": B}, None),
        (r"\det A", {"A": A}, 5.5),
        (r"f(x)^2 y", {"f": math.sqrt, "x": 9.0, "y": 2.0}, 18.0),
        (r"f(x)^2 y", {"f": 3.0, "x": 2.0, "y": 5.0}, 60.0),
        (r"\nabla f(x) + \nabla^2 f(x)", {r"\nabla f": abs, r"\nabla^2 f": abs, "x": 4.0}, 8.0),
        (r"x^{(k+1)} - x^{(k)}", {"x": [1.0, 4.0, 9.0], "k": 1}, 5.0),
        (r"\hat m_{k-1}", {r"\hat m": [7.0, 8.0], "k": 2}, 8.0),
        (r"n_2 + n", {r"n_{\cdot}": one_based([3.0, 4.0]), "n": 7.0}, 11.0),
        (r"(s_2^2 - s^2)^2", {r"s_{\cdot}": one_based([3.0, 4.0]), "s": 3.0}, 49.0),
        (r"g(a; b)", {"g": max, "a": 2.0, "b": 3.0}, 3.0),
        (r"X_{ij} + X_{i,j+1}", {"X": one_based(A), "i": 1, "j": 1}, 3.0),
        (r"\beta_1^k", {r"\beta_1": 0.5, "k": 3}, 0.125),
        (r"\frac{\partial S}{\partial b} + 1", {r"\frac{\partial S}{\partial b}": 4.0}, 5.0),
        (r"1\{a < b\} - 1\{a = b\}", {"a": 1.0, "b": 2.0}, 1.0),
        (WORDED, {r"\text{at once}": True, "x": 3.0}, 3.0),
        (WORDED, {r"\text{at once}": False, "x": 3.0}, 4.0),
        (CASES, {"x": -3.0}, 3.0),
        (CASES, {"x": 2.0}, 2.0),
        (r"\begin{pmatrix} a & 0 \\ 1 & b \end{pmatrix}", {"a": 2.0, "b": 3.0}, [[2, 0], [1, 3]]),
        (r"\underbrace{a + 1}_{\text{more}} b", {"a": 1.0, "b": 3.0}, 6.0),
        (r"\underbrace{a + 1}_{R} b", {"a": 1.0, "b": 3.0, "R": 2.0}, 6.0),
        (r"\begin{bmatrix} A & v \\ 0 & 7 \end{bmatrix}", {"A": A, "v": COLUMN},
            [[2, 1, 3], [0.5, 3, 4], [0, 0, 7]]),
        (r"\arg\min_x (x - 2)^2 + 1", {"x": range(5)}, [2]),
        (r"\arg\max_x (x - 2)^2", {"x": range(5)}, [0, 4]),
        (r"p(y \mid x, z)", {"p": lambda *at: 100 * at[0] + 10 * at[1] + at[2], "y": 1.0, "x": 2.0,
            "z": 3.0}, 123.0),
        (r"y_1 A y", {"A": A, "y": one_based(COLUMN)}, 3 * A @ COLUMN),
        (r"t \bmod 101", {"t": 203}, 1.0),
        (r"a \pm b", {"a": 1.0, "b": 2.0, r"\pm": -1}, -1.0),
    ],
)  # fmt: skip
def test_latex_is_worth_what_the_mathematics_says(tex, names, right):
    if right is None:
        with pytest.raises(Unread):
            Display("eq-planted", tex).value(names)
    else:
        np.testing.assert_allclose(Display("eq-planted", tex).value(names), right, rtol=1e-12)


@pytest.mark.parametrize(
    ("tex", "names", "said"),
    [
        (r"a + \foo b", {"a": 1.0}, r"'\\\\foo' is not understood after 'a \+'"),
        (r"a + ", {"a": 1.0}, "something is missing"),
        (r"(a + b", {"a": 1.0}, r"'\(' is not closed by '\)'"),
        (r"a + b", {"a": 1.0}, "b has no number: bind it"),
        (r"x_{k+1}", {"x": [1.0], "k": 3}, "nothing stands at the index 4"),
        (r"f + 1", {"f": math.sqrt}, "number is needed where"),
        (r"f x", {"f": math.sqrt, "x": 1.0}, "function stands without its argument"),
        (r"A B", {"A": A, "B": COLUMN.T}, "no product of shapes"),
        (r"A + v", {"A": A, "v": COLUMN}, "no sum of shapes"),
        (r"x_i^R^2", {"x": 1.0}, r"has a second '\^': write brackets"),
        (r"a / b c", {"a": 1.0, "b": 2.0, "c": 3.0}, "two ways"),
        (r"\sum_j j", {}, "'j' has no range: bind it to range"),
        (r"\mathbb{E} x", {"x": 1.0}, "needs `worlds`"),
        (WORDED, {"x": 1.0}, "a case in words: bind"),
        (r"\underbrace{a + 1}_{R} b", {"a": 1.0, "b": 3.0, "R": 3.0}, "name R to something else"),
        (r"\arg\min_x f", {"f": 1.0}, "'x' has no range"),
        (r"x \sim \mathcal{N}(0, 1)", {"x": 1.0}, "needs `worlds`"),
        (r"\lVert A \rVert_7", {"A": A}, "norm '7'"),
    ],
)
def test_what_is_not_understood_is_named_with_a_cure(tex, names, said):
    with pytest.raises(Unread, match=said):
        Display("eq-planted", tex).value(names)


def test_expectations_average_over_worlds():
    worlds = [(0.25, {"x": -2.0}), (0.75, {"x": 2.0})]
    assert value(r"\mathbb{E} x", worlds) == 1.0
    assert (
        value(r"\mathbb{E}[x^2] - (\mathbb{E} x)^2", worlds)
        == value(r"\operatorname{Var} x", worlds)
        == 3.0
    )
    assert value(r"\Pr(x > 0)", worlds) == 0.75
    assert value(r"\mathbb{E}[x \mid x > 0]", worlds) == 2.0
    given = r"\mathbb{E}[x \mid y_1] = a"
    worlds = [(0.2, {"x": 1.0, "y_1": 7.0}), (0.3, {"x": 2.0, "y_1": 7.0}), (0.5, {"y_1": 8.0})]
    names = {"x": 9.0, "a": 1.6, "y_1": 7.0}  # given its value, as it is bound
    assert Display("eq-planted", given).holds(names, worlds)
    assert not Display("eq-planted", given).holds(names | {"y_1": 8.0}, worlds)
    columns = [(0.5, {"x": COLUMN}), (0.5, {"x": -COLUMN})]
    np.testing.assert_allclose(value(r"\operatorname{Var}(x)", columns), COLUMN @ COLUMN.T)


def holds(tex, names, **options):
    return bool(Display("eq-planted", tex).holds(names, **options))


def test_a_display_holds_if_all_of_its_statements_do():
    both = r"\begin{aligned} y &= 2 x, \\ z &= y + 1 \quad (x \ge 1) . \end{aligned}"
    assert holds(both, {"x": 1.0, "y": 2.0, "z": 3.0})
    assert not holds(both, {"x": 1.0, "y": 2.0, "z": 4.0})
    assert not holds(both, {"x": 0.0, "y": 0.0, "z": 1.0})
    assert not holds("a = b = c", {"a": 1.0, "b": 1.0, "c": 2.0})
    remarks = r"\begin{aligned} y & = x && \text{once} \\ & + x && \text{twice} \end{aligned}"
    assert holds(remarks, {"x": 1.0, "y": 2.0})
    broken = r"\begin{aligned} y = {} & x \big[ 1 \\ & + x \big] \end{aligned}"
    assert holds(broken, {"x": 2.0, "y": 6.0})


def test_words_that_lead_to_a_condition_and_remarks_state_nothing():
    led = r"\begin{gathered} y = 2 x \\ \text{subject to } \; x = 1 + z . \end{gathered}"
    assert holds(led, {"x": 3.0, "y": 6.0, "z": 2.0})
    assert not holds(led, {"x": 3.0, "y": 6.0, "z": 5.0})
    remarked = r"\begin{aligned} y = {} & x && \text{first} \\ & + z && \text{then} \end{aligned}"
    assert holds(remarked, {"x": 3.0, "y": 5.0, "z": 2.0})
    assert not holds(remarked, {"x": 3.0, "y": 1.0, "z": 2.0})


def test_a_minimizer_is_among_those_that_the_page_names():
    for x, is_one in [(1, True), (3, True), (2, False)]:
        assert holds(r"\hat x \in \arg\min_x (x - 2)^2", {r"\hat x": x, "x": (1, 3)}) is is_one


def test_a_distribution_has_the_mean_and_the_variance_over_the_worlds():
    worlds = [(0.25, {"x": 1.0}), (0.75, {"x": 5.0})]
    for tex in (r"x \sim \mathcal{N}(4, 3)", r"x - 1 \mid y \sim \mathcal{N}(m, v)"):
        assert holds(tex, {"m": 3.0, "v": 3.0}, worlds=worlds)
    for tex in (r"x \sim \mathcal{N}(4, 9)", r"x \sim \mathcal{N}(3, 3)"):
        assert not holds(tex, {}, worlds=worlds)


def test_an_arrow_gives_a_name_another_value():
    assert holds(
        r"x_i \leftarrow 2 x_i", {"x": one_based([1.0, 3.0]), "i": 2, r"x_i \leftarrow": 6.0}
    )
    assert not holds(r"x \leftarrow 2 x", {"x": 3.0, r"x \leftarrow": 5.0})
    assert not holds(r"x \leftarrow 2 x", {"x": 3.0})


def test_a_tight_bound_is_attained():
    assert holds(r"a \le b", {"a": 1.0, "b": 2.0})
    assert not holds(r"a \le b", {"a": 1.0, "b": 2.0}, tight=True)
    assert holds(r"a \le b", {"a": 2.0, "b": 2.0}, tight=True)
    between = r"a < 5 \quad a \le b \le c", {"a": 1.0, "b": 1.0, "c": 2.0}
    assert holds(*between, tight=[1])
    assert not holds(*between, tight=[2])
    assert not holds(*between, tight=True)


def test_a_display_without_a_relation_states_nothing_that_holds():
    assert not holds("a + b", {"a": 1.0, "b": 2.0})


def test_the_verdict_shows_both_sides():
    verdict = Display("eq-planted", "a = 2 b").holds({"a": 1.0, "b": 2.0})
    assert repr(verdict) == "eq-planted does not hold:  1.0 = 4.0"


def test_a_label_that_the_book_does_not_have_is_named():
    with pytest.raises(KeyError, match="eq-nowhere"):
        displayed("eq-nowhere")


def test_a_trial_tells_what_no_number_it_was_asked_with_would_notice():
    trial = Trial("eq-planted", "y = a x + b")
    assert trial.holds({"y": 5.0, "a": 1.0, "x": 2.0, "b": 3.0})
    survivors = trial.survivors()
    assert len(survivors) < len(list(mutants(trial.tex)))
    assert any("the factor a is lost" in survivor for survivor in survivors)  # a is 1
    assert trial.holds({"y": 13.0, "a": 5.0, "x": 2.0, "b": 3.0})
    assert trial.survivors() == []


def test_a_mutant_that_cannot_be_computed_says_nothing_of_the_numbers():
    trial = Trial("eq-planted", "y = f(x)")
    assert trial.holds({"y": 4.0, "f": lambda x: x**2, "x": 2.0})
    assert [trial.outcome(tex) for tex in ("y = f(x)", "y = f(y)", "y = f(a)", "y =")] == [
        "survives",
        "told",
        "unread",
        "unread",
    ]


def test_what_is_given_before_a_distribution_is_not_exchanged():
    done = [what for what, _ in mutants(r"u \mid y \sim \mathcal{N}(m, v)")]
    assert any(what.startswith("u becomes") for what in done)
    assert not any(what.startswith("y becomes") for what in done)
    assert any(what.startswith("y becomes") for what, _ in mutants(r"\mathbb{E}[u \mid y] = m"))


def test_a_sum_runs_over_whole_numbers():
    names = {"s": 3.0, "n": 2}
    assert holds(r"s = \sum_{i=1}^n i", names)
    with pytest.raises(Unread, match="to 2.5: bind whole numbers"):
        holds(r"s = \sum_{i=1}^{n + 1 / 2} i", names)


def test_a_trial_keeps_the_numbers_that_it_was_asked_with():
    trial, names = Trial("eq-planted", "y = a + b"), {"y": 3.0, "a": 2.0, "b": 1.0}
    assert trial.holds(names)
    names["a"] = 5.0  # of a mutant asked with this nothing would be known
    assert "= becomes \\ne in y = a + b" not in trial.survivors()


def test_mutants_are_other_statements_and_each_stands_once():
    tex = r"m_k = \beta_1 m_{k-1} + (1 - \beta_1) g_k^2 \le \sqrt{\frac{a}{b}}"
    found = list(mutants(tex))
    assert len(found) == len({text for _, text in found}) > 15
    done = " ".join(what for what, _ in found)
    for kind in (
        "becomes",
        "exponent",
        "turned over",
        "root",
        "brackets",
        r"+ becomes -",
        r"\le becomes \ge",
    ):
        assert kind in done
    assert tex not in {text for _, text in found}


def test_a_condition_is_pinned_by_what_lies_beyond_it():
    trial = Trial("eq-planted", "x < 2 a")
    assert trial.holds({"x": 2.99, "a": 1.5})
    assert any("2 becomes 3" in what for what in trial.survivors())
    assert trial.fails({"x": 3.01, "a": 1.5})
    assert not trial.fails({"x": 2.99, "a": 1.5})
    assert not any("2 becomes 3" in what for what in trial.survivors())


def test_a_trial_asks_mutants_what_the_display_was_asked():
    trial, names = Trial("eq-planted", "y = 2 x"), {"x": 1.5, "y": 3.0}
    assert trial.holds(names)
    names["y"] = 0.0  # for another display
    assert trial.survivors() == []


@pytest.mark.parametrize(
    ("tex", "is_lost"),
    [
        (r"2 (\frac{a}{b})^k", False),
        (r"2 (\frac{a}{b} c)^k", True),
        (r"b (\sum_{i=1}^n x_i) c", True),
        (r"\log(a / b) + c", False),
        (r"\frac{\log(a b)}{c}", False),
        (r"\log(a + b)", True),
        (r"\log(a b) c", True),
        (r"\frac{1}{n} (b \sum_i i)", False),
        (r"\frac{1}{n} (b + c)", True),
        (r"f(a b)", True),
        (r"a / (b c)", True),
        (r"a = b \quad (a < 1)", False),
        # around all that a word applies to
        (r"c - \operatorname{tr}(A B) + d", False),
        (r"c - \operatorname{tr}(A + B)", True),
        (r"\operatorname{diag}(s) V", True),
        (r"\phi(A)", True),
    ],
)
def test_brackets_that_mean_nothing_are_not_lost(tex, is_lost):
    assert any("brackets are lost" in what for what, _ in mutants(tex)) == is_lost


@pytest.mark.parametrize(
    ("tex", "n_meant"),
    [
        (r"y = (x + 1) (\frac{z}{2})^2 \qquad (x \ge 2)", 1),
        (r"y = \operatorname{tr}(A B) + \log \det(A B) - \mathbb{E}[A B]", 0),
        (r"y = \operatorname{tr}(A + B) + \log(A B) C - f(A B)", 3),
    ],
)
def test_brackets_for_the_look_are_no_mutant(tex, n_meant):
    assert sum("brackets" in what for what, _ in mutants(tex)) == n_meant


def test_a_hypothesis_that_is_hurt_tells_what_only_a_false_statement_tells():
    trial = Trial("eq-planted", "a = b = c")
    assert trial.holds({"a": 2.0, "b": 2.0, "c": 2.0})
    assert any("a becomes b" in survivor for survivor in trial.survivors())
    assert trial.fails({"a": 1.0, "b": 2.0, "c": 2.0})
    assert not any("a becomes b" in survivor for survivor in trial.survivors())


def test_brackets_that_only_help_the_eye_are_not_lost():
    def is_tried(tex):
        return any("brackets" in what for what, _ in mutants(tex))

    for tex in (
        r"a + (b - c) = d",
        r"y = (a b)",
        r"\log (a b) + c",
        r"a - (b c)",
        r"\mathbb{E} (a b)",
    ):
        assert not is_tried(tex)
    for tex in (r"a - (b - c)", r"\log (a b) c", r"\log (a + b)", r"(a b)^2 + c", r"f(a) + c"):
        assert is_tried(tex)


def test_every_step_of_a_sample_has_the_right_mean(rng):
    G, size = rng.normal(size=(5, 3)), 2
    chosen = list(itertools.combinations(range(5), size))
    worlds = [(1 / len(chosen), {"g": G[list(rows)].mean(0)[:, None]}) for rows in chosen]
    names = {r"\nabla f": lambda x: G.mean(0)[:, None], "x": 0.0, "g": 0.0}
    assert displayed("eq-sgd-unbiased").holds(names, worlds)
