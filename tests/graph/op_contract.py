"""What every executor, file form and the checker owe to an op: tests that a class of each op inherits.

A class says which op it is about, gives a naive function for one output value, and small graphs that break its rules or only just keep
them. Graphs of it are drawn by random_graphs.Growing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import prod
from typing import Any, ClassVar

import numpy as np
import pytest
from engines import assert_equal_everywhere
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive import Cells, Index, cells_of
from random_graphs import Growing, one_layer, random_inputs

from edgekit.errors import ContractError, UnsupportedLayer
from edgekit.executor import Artifact
from edgekit.graph import (
    Activation,
    GraphBuilder,
    IntegerGraph,
    Lookup,
    Op,
    Padding,
    Tensor,
    check,
    equal,
    op_inputs,
    read_onnx,
    run,
    violations,
    write_onnx,
)
from edgekit.graph.ir import OP_TYPES
from edgekit.keras_models.qfx.executors import EXECUTORS as KERAS
from edgekit.verify.onnxruntime import EXECUTOR as ONNXRUNTIME

SHAPE = (4, 4, 2)
X, Y = Tensor("x", SHAPE, False, 2), Tensor("y", SHAPE, True, 1)
SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6))
SEEDS = st.integers(0, 2**32 - 1)
INHERITED = (HealthCheck.differing_executors,)
"""A test that classes inherit is run by each of them, which is what hypothesis would warn of."""


@dataclass(frozen=True)
class Twin:
    """A graph that breaks one rule, at its tensor y; `message` is a regular expression."""

    graph: IntegerGraph
    rule: int
    message: str


@dataclass(frozen=True)
class Values:
    """What an executor gave for a graph, beside what the reference gives. `only_some`: tensors may be left out."""

    graph: IntegerGraph
    expected: dict[str, np.ndarray]
    found: dict[str, np.ndarray]
    only_some: bool = False


class OpContract:
    op: ClassVar[type]

    def cell(self, graph: IntegerGraph, op: Any, sources: Sequence[Cells], at: Index) -> int:
        """One number of the output, from those of the inputs."""
        raise NotImplementedError

    @classmethod
    def broken(cls) -> dict[str, Twin]:
        return {}

    @classmethod
    def kept(cls) -> dict[str, IntegerGraph]:
        """Neighbours of those, which keep the contract."""
        return {}

    def grow(self, growing: Growing, source: Tensor) -> None:
        """Adds at least one of the ops to the graph."""
        before = len(growing.graph.ops)
        while self.op not in map(type, growing.graph.ops[before:]):
            growing.grow(self.op, source)

    def drawn(self, shape: tuple[int, ...], seed: int) -> IntegerGraph:
        """A graph that ends in the op, after what its inputs need."""
        rng, graph = np.random.default_rng(seed), GraphBuilder("drawn")
        graph.input("input", shape, signed=bool(rng.integers(2)), binary_point=int(rng.integers(-2, 9)))
        self.grow(Growing(rng, (), 6, graph), graph.tensors["input"])
        return graph.graph()

    def own(self, graph: IntegerGraph) -> list[Op]:
        return [op for op in graph.ops if type(op) is self.op]

    @staticmethod
    def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
        if "broken_case" in metafunc.fixturenames:
            broken = metafunc.cls.broken()
            metafunc.parametrize("broken_case", broken.values(), ids=broken)
        if "kept_case" in metafunc.fixturenames:
            kept = {"as drawn": metafunc.cls().drawn((3, 3, 4), 0), **metafunc.cls.kept()}
            metafunc.parametrize("kept_case", kept.values(), ids=kept)

    @settings(max_examples=12, suppress_health_check=INHERITED)
    @given(SIZES, SEEDS)
    def test_the_reference_gives_what_the_naive_function_gives(self, shape: tuple[int, ...], seed: int) -> None:
        graph = self.drawn(shape, seed)
        inputs = random_inputs(np.random.default_rng(seed), graph, noise=1)[2:]
        values = run(graph, inputs)
        for op in self.own(graph):
            for image in range(len(inputs)):
                sources = [cells_of(values[name][image]) for name in op_inputs(op)]
                found = cells_of(values[op.output][image])
                assert found == {at: self.cell(graph, op, sources, at) for at in found}, op.name

    @settings(max_examples=5, suppress_health_check=INHERITED)
    @given(SIZES, SEEDS)
    def test_tflite_kernels_and_onnxruntime_give_the_same(self, shape: tuple[int, ...], seed: int) -> None:
        graph = self.drawn(shape, seed)
        assert_equal_everywhere(graph, random_inputs(np.random.default_rng(seed), graph))

    @settings(max_examples=8, suppress_health_check=INHERITED)
    @given(SIZES, SEEDS)
    def test_its_onnx_form_is_read_back_as_it_was(self, shape: tuple[int, ...], seed: int) -> None:
        graph = self.drawn(shape, seed)
        assert equal(graph, read_onnx(write_onnx(graph)))

    def test_keras_gives_the_same(self, keras_values: Values) -> None:
        self.assert_equal(keras_values)

    @pytest.mark.csim
    def test_the_c_simulation_gives_the_same(self, csim_values: Values) -> None:
        self.assert_equal(csim_values)

    def assert_equal(self, values: Values) -> None:
        """Each of the op's outputs that is shown is equal; and one of them varies, or the comparison would be worth nothing."""
        names = [op.output for op in self.own(values.graph)]
        shown = [name for name in names if name in values.found]
        assert shown == names or (shown and values.only_some)
        for name in shown:
            np.testing.assert_array_equal(values.found[name], values.expected[name], err_msg=name)
            assert values.found[name].dtype == values.expected[name].dtype
        assert any(np.ptp(values.expected[name]) for name in shown)

    def test_its_layers_are_frozen_to_it_again(self) -> None:
        """The first graph drawn that freeze can read."""
        from edgekit.keras_models.qfx.freeze import freeze
        from edgekit.keras_models.qfx.thaw import thaw

        for seed in range(20):
            graph = self.drawn((3, 3, 4), seed)
            try:
                again = freeze(thaw(graph)[0], name=graph.name)
            except UnsupportedLayer:  # what lifts a signed map over the padding of a max-pool; weights that QFX quantizers would change
                continue
            assert equal(as_frozen(graph), as_frozen(again))
            return
        raise AssertionError("no graph was frozen again")

    def test_the_checker_names_the_rule(self, broken_case: Twin) -> None:
        found = list(violations(broken_case.graph))
        assert {(v.tensor, v.rule) for v in found} == {("y", broken_case.rule)}, "\n".join(map(str, found))
        with pytest.raises(ContractError, match=broken_case.message) as error:
            check(broken_case.graph)
        assert f"tensor 'y' breaks rule {broken_case.rule}: " in str(error.value)

    def test_a_neighbour_passes(self, kept_case: IntegerGraph) -> None:
        check(kept_case)


class WeightedContract(OpContract):
    """An op with weights. `shape`: of weights with two output channels for a map of SHAPE, `terms` of which one output sums."""

    shape: ClassVar[tuple[int, ...]]
    terms: ClassVar[int]
    output: ClassVar[tuple[int, ...]]

    @classmethod
    def layer(cls, output: Tensor = Y, **changes: Any) -> IntegerGraph:
        """Binary points: 6 of the accumulator, so that n is 5."""
        weights, bias = np.full(cls.shape, 4, np.int8), np.array([2, -2], np.int32)
        shape = cls.output if output.shape == SHAPE else output.shape
        op = replace(cls.op("layer", "x", "y", weights, bias, (4, 4)), **changes)
        return one_layer(op, X, replace(output, shape=shape))

    @classmethod
    def weights_with(cls, value: int) -> np.ndarray:
        weights = np.full(cls.shape, 4, np.int8)
        weights.reshape(-1)[2] = value
        return weights

    @classmethod
    def broken(cls) -> dict[str, Twin]:
        at = str(tuple(int(i) for i in np.unravel_index(2, cls.shape))).replace("(", r"\(").replace(")", r"\)")
        low, large = replace(Y, binary_point=-2), np.array([1 << 25 | 2, 2], np.int32)
        doubled = np.array([2**30 + 2, 2], np.int32)
        other = (*cls.output[:-1], 3)
        given = ", ".join(map(str, cls.output)) + ("," if len(cls.output) == 1 else "")
        return {
            "weight off the lattice": Twin(cls.layer(weights=cls.weights_with(6)), 1, f"weight 6 at {at}"),
            "weight too large": Twin(cls.layer(weights=cls.weights_with(-128)), 1, "weight -128"),
            "bias a multiple of four": Twin(cls.layer(bias=np.array([2, 4], np.int32)), 1, "bias 4 of channel 1"),
            "odd bias": Twin(cls.layer(bias=np.array([-1, 2], np.int32)), 1, "bias -1 of channel 0"),
            "shift of two": Twin(cls.layer(weight_binary_points=(4, 1)), 2, "channel 1 of 'layer' shifts by 2"),
            "shift too far left": Twin(cls.layer(weight_binary_points=(4, -9)), 2, "shifts by -8"),
            "shift too far right": Twin(cls.layer(weight_binary_points=(30, 4)), 2, "shifts by 31"),
            "float32 accumulator": Twin(cls.layer(weight_binary_points=(16, 4), bias=large), 3, r">= 2\*\*25"),
            "int32 accumulator": Twin(cls.layer(bias=np.array([2**31 - 2, 2], np.int32)), 3, "leaves int32"),
            "left shift out of int32": Twin(cls.layer(weight_binary_points=(-1, 4), bias=doubled), 3, "leaves int32"),
            "six is no integer": Twin(cls.layer(low, activation=Activation.RELU6), 6, "6 is no integer"),
            "wrong output shape": Twin(cls.layer(replace(Y, shape=other)), 0, rf"gives shape \({given}\)"),
            "weights as int32": Twin(cls.layer(weights=np.full(cls.shape, 4, np.int32)), 0, "weights are int8"),
            "missing bias": Twin(cls.layer(bias=np.array([2], np.int32)), 0, "2 channels, but biases"),
            "a dimension too many": Twin(cls.layer(weights=np.full((1, *cls.shape), 4, np.int8)), 0, "weights of shape"),
            "a binary point out of range": Twin(cls.layer(weight_binary_points=(4, 64)), 0, r"outside \+-63"),
            "seven bits": Twin(cls.layer(replace(Y, bits=7)), 0, "8 bits, not 7"),
            "binary point out of range": Twin(cls.layer(replace(Y, binary_point=64)), 0, r"outside \+-63"),
        }

    @classmethod
    def kept(cls) -> dict[str, IntegerGraph]:
        most = np.array([2**31 - 2 - 4 * 255 * cls.terms, 2], np.int32)
        return {
            "the plain layer": cls.layer(),
            "largest weights": cls.layer(weights=np.full(cls.shape, -124, np.int8)),
            "shift of one": cls.layer(weight_binary_points=(0, 4)),
            "shift of three": cls.layer(weight_binary_points=(2, 4)),
            "shift of sixteen with a large bias": cls.layer(weight_binary_points=(15, 4), bias=np.array([(1 << 25) + 2, 2], np.int32)),
            "shift above sixteen, small accumulator": cls.layer(weight_binary_points=(20, 4)),
            "just inside int32": cls.layer(bias=most),
            "six at binary point -1": cls.layer(replace(Y, binary_point=-1), activation=Activation.RELU6),
        }

    @pytest.mark.parametrize("case", ["shift above sixteen, small accumulator", "just inside int32", "weights beyond float32"])
    def test_what_no_training_makes_is_run_by_keras_and_onnxruntime(self, case: str, rng: np.random.Generator) -> None:
        """Their float32 holds none of these: 2**25 is left by biases of either sign, which large weights bring back."""
        most = np.array([2**25 + 2, -(2**25) - 2], np.int32)
        far = rng.integers(-31, 32, self.shape).astype(np.int8) * np.int8(4)
        wide = self.layer(weights=far, bias=most, weight_binary_points=(14, 15))
        graph = {**self.kept(), "weights beyond float32": wide}[case]
        check(graph)
        inputs = random_inputs(rng, graph, noise=20)
        expected = run(graph, inputs)["y"]
        for executor in (*KERAS, ONNXRUNTIME):
            with executor.open(Artifact(graph=graph), lambda _: None) as execute:
                np.testing.assert_array_equal(execute(inputs)["y"], expected, err_msg=executor.name)
        assert equal(graph, read_onnx(write_onnx(graph)))


class WindowContract(WeightedContract):
    """A convolution, full or depthwise."""

    @classmethod
    def broken(cls) -> dict[str, Twin]:
        wide = np.full((5, 5, *cls.shape[2:]), 4, np.int8)
        return {
            **super().broken(),
            "window larger than the map": Twin(cls.layer(weights=wide), 0, "cannot take inputs"),
            "negative padding": Twin(cls.layer(padding=Padding(top=-1)), 0, "cannot take inputs"),
            "no stride": Twin(cls.layer(strides=(0, 1)), 0, "cannot take inputs"),
        }


def as_frozen(graph: IntegerGraph) -> IntegerGraph:
    """The graph with its ops in the order of their names, and its tensors called as the ops that write them, as freeze calls them."""
    names = {graph.input: graph.input, **{op.output: op.name for op in graph.ops}}

    def renamed(op: Any) -> Op:
        reads = [names[name] for name in op_inputs(op)]
        return replace(op, output=op.name, **({"inputs": tuple(reads)} if hasattr(op, "inputs") else {"input": reads[0]}))

    tensors = {names[name]: replace(tensor, name=names[name]) for name, tensor in graph.tensors.items()}
    ops = tuple(sorted(map(renamed, graph.ops), key=lambda op: op.name))
    return replace(graph, tensors=tensors, ops=ops, outputs=tuple(names[name] for name in graph.outputs))


def pair(op: Any, z: Tensor, y: Tensor) -> IntegerGraph:
    """x -> z by a table, then `op` of x and z."""
    table = Lookup("table", "x", "z", np.zeros(256, z.dtype))
    return IntegerGraph("pair", {"x": X, "z": z, "y": y}, (table, op), "x", ("y",))


def contracts() -> list[OpContract]:
    """One of each class of an op, in the order of the ops."""
    kinds = [kind for kind in _below(OpContract) if hasattr(kind, "op")]
    return [kind() for kind in sorted(kinds, key=lambda kind: OP_TYPES.index(kind.op))]


def _below(kind: type[OpContract]) -> list[type[OpContract]]:
    return [one for sub in kind.__subclasses__() for one in (sub, *_below(sub))]


def graph_of_all(forms: int = 2) -> IntegerGraph:
    """Some of every op: each reads the input, so that one that is wrong spoils no other."""
    for seed in count():
        rng, graph = np.random.default_rng(seed), GraphBuilder("every_op")
        source = graph.tensors[graph.input("input", (4, 3, 4), signed=bool(seed % 2), binary_point=4)]
        for contract in contracts() * forms:
            contract.grow(Growing(rng, (), 6, graph), source)
        read = {name for op in graph.ops for name in op_inputs(op)}
        made = graph.graph(*(name for name in graph.tensors if name not in read))
        if max(prod(t.shape) for t in made.tensors.values()) < 1000:
            return made
    raise AssertionError
