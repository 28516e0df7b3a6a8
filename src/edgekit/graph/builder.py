"""GraphBuilder: an IntegerGraph written op by op. Shapes follow from the ops' own rules, and so do types where an op keeps one."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgekit.errors import ContractError
from edgekit.graph.check import Violation, check
from edgekit.graph.ir import Add, IntegerGraph, MovingOp, Op, Tensor, op_inputs
from edgekit.graph.shapes import Shape, ShapeError, output_shape


@dataclass
class GraphBuilder:
    """A graph that grows: `tensors` by name, `ops` in the order in which they were written. The first tensor is the input."""

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)

    def input(self, name: str, shape: Shape, *, signed: bool, binary_point: int) -> str:
        """The tensor that the graph takes; `shape` without batch. Returns its name.

        Raises:
            ContractError: there is an input already.
        """
        if self.tensors:
            raise _refuse(name, f"the graph has an input already, '{next(iter(self.tensors))}'")
        self.tensors[name] = Tensor(name, shape, signed, binary_point)
        return name

    def write(self, op: Op, *, signed: bool | None = None, binary_point: int | None = None, shape: Shape = ()) -> str:
        """Adds an op and the tensor that it writes, whose name it returns.

        Args:
            op: its `output` is the new tensor's name.
            signed, binary_point: the output's type. A Concat, Slice, MaxPool or Reshape has its input's, an Add its input's binary
                point, where nothing else is said; the others need both.
            shape: the output's, which only a Slice (its last length) and a Reshape need.

        Raises:
            ContractError: the op reads what no op has written, writes what another has, does not fit its inputs, or lacks a type.
        """
        missing = [name for name in op_inputs(op) if name not in self.tensors]
        if missing:
            raise _refuse(op.output, f"op '{op.name}' reads {missing} before they are written")
        if op.output in self.tensors:
            raise _refuse(op.output, f"op '{op.name}' writes it a second time")
        sources = [self.tensors[name] for name in op_inputs(op)]
        try:
            made = output_shape(op, sources, shape)
        except ShapeError as error:
            raise _refuse(op.output, f"op '{op.name}': {error}") from error
        if signed is None and isinstance(op, MovingOp):
            signed = sources[0].signed
        if binary_point is None and isinstance(op, MovingOp | Add):
            binary_point = sources[0].binary_point
        if signed is None or binary_point is None:
            raise _refuse(op.output, f"op '{op.name}' needs to know whether it is signed, and its binary point")
        self.tensors[op.output] = Tensor(op.output, made, signed, binary_point)
        self.ops.append(op)
        return op.output

    def graph(self, *outputs: str) -> IntegerGraph:
        """The graph as far as it has grown; without names, its one output is what was written last.

        Raises:
            ContractError: it breaks a rule of the contract.
        """
        names = outputs or tuple(op.output for op in self.ops[-1:])
        graph = IntegerGraph(self.name, dict(self.tensors), tuple(self.ops), next(iter(self.tensors), ""), names)
        check(graph)
        return graph


def _refuse(tensor: str, problem: str) -> ContractError:
    return ContractError(str(Violation(tensor, 0, problem)))
