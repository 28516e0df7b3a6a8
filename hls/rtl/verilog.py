"""A stage's function as a Verilog module: a state for each innermost loop, and an iteration a clock cycle.

In a cycle, all that lies between the beginnings of two iterations is done. Branches become conditions: each block has one, and a value
that blocks may give is chosen by them. A value that a later cycle needs has a register. When a stream that the cycle reads has no token, or
one that it writes no room, the whole stage waits.

Memories are ports of the module: an address, and the word at it in the same cycle; what is written is there in the next one. Small arrays
that are written or read in more places at once than a memory has ports are registers inside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit.hls.rtl.circuit import MemoryPorts, StageRtl, StreamShape
from edgekit.hls.rtl.control import Control, control_of
from edgekit.hls.rtl.expressions import expression, literal, times
from edgekit.hls.rtl.llvm import Instruction, Module, Operand, Refused, read_function
from edgekit.hls.rtl.memories import Memory, Pointers, Sum, address, memories_of, pointers_of
from edgekit.hls.rtl.ranges import Ranges, bits, ranges_of
from edgekit.hls.rtl.walk import walk

READ_PORTS_MAX = 2
NOTHING = frozenset({"alloca", "getelementptr"})


@dataclass(frozen=True)
class _Write:
    state: str
    condition: str
    bank: str
    address: str
    lane: int
    data: str
    block: str


@dataclass
class _Text:
    """The module's text while it grows."""

    wires: list[tuple[str, str, str]] = field(default_factory=list)
    """Type, name and expression of each wire; no type of one that is a port."""
    registers: list[str] = field(default_factory=list)
    clocked: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)

    def wire(self, name: str, width: int, expression: str, signed: bool = False) -> str:
        self.wires.append((f"{'signed ' if signed else ''}[{width - 1}:0]", name, expression))
        return name

    def unsigned(self, expression: str, width: int) -> str:
        return self.wire(f"t{len(self.wires)}", width, expression)


def translate(
    module: Module, name: str, shapes: Mapping[int, StreamShape], contents: Mapping[str, tuple[int, tuple[int, ...]]]
) -> StageRtl:
    """`shapes`: of the streams, by number. `contents`: constant array -> bytes of an element, its elements.

    Raises:
        Refused: the function has something that the translator does not know; the message names it.
    """
    function = read_function(module, name)
    control, pointers = control_of(function), pointers_of(function, module)
    memories = memories_of(pointers, contents)
    walked = walk(function, control)
    ranges = ranges_of(function, pointers, memories, walked, lambda stream: (shapes[stream].width, shapes[stream].is_signed))
    made = _Stage(name, function.blocks, control, pointers, memories, ranges, shapes)
    return made.module(walked.iterations)


@dataclass
class _Stage:
    name: str
    blocks: Mapping[str, tuple[Instruction, ...]]
    control: Control
    pointers: Pointers
    memories: Mapping[str, Memory]
    ranges: Ranges
    shapes: Mapping[int, StreamShape]
    text: _Text = field(default_factory=_Text)
    kept: set[str] = field(default_factory=set)
    """Values that have a register."""
    given: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Value -> the conditions under which a cycle computes it, each with its wire."""
    uses: dict[tuple[str, int], list[tuple[str, str, str]]] = field(default_factory=lambda: defaultdict(list))
    """(pop or push, stream) -> state, block and condition of each."""
    puts: dict[tuple[int, int], list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    reads: dict[tuple[str, int], dict[str, list[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    """(array, bank) -> state -> the addresses that it reads."""
    writes: dict[str, list[_Write]] = field(default_factory=lambda: defaultdict(list))
    addresses: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.number = {one: place for place, one in enumerate(self.pointers.definitions)}
        self.place = {block: place for place, block in enumerate(self.blocks)}
        self.state_bits = max(1, (len(self.control.states) - 1).bit_length())
        self.index = {state: place for place, state in enumerate(self.control.states)}

    def module(self, iterations: int) -> StageRtl:
        for state in self.control.states:
            self._cycle(state)
        memories = tuple(port for array, memory in self.memories.items() for port in self._memory(array, memory))
        inputs, outputs = self._streams()
        for name in sorted(self.kept, key=self.number.__getitem__):
            one = self.pointers.definitions[name]
            kind = "" if one.width == 1 else "signed "
            self.text.registers.append(f"  reg {kind}[{self.ranges.bits(one) - 1}:0] r{self.number[name]} = 0;")
            self.text.clocked += [f"      if ({condition}) r{self.number[name]} <= {wire};" for condition, wire in self.given[name]]
        lines = [f"module {self.name} (", ",\n".join(["  input clk", "  input rst", *self.text.ports]), ");"]
        lines += [f"  reg [{self.state_bits - 1}:0] state = 0;", *self.text.registers]
        lines += [f"  wire {kind} {name};" for kind, name, _ in self.text.wires if kind]
        lines += [f"  assign {name} = {value};" for _, name, value in self.text.wires]
        lines += ["  always @(posedge clk)", "    if (rst) state <= 0;", "    else if (fire) begin", *self.text.clocked, "    end"]
        verilog = "\n".join([*lines, "endmodule", ""])
        return StageRtl(self.name, verilog, inputs, outputs, memories, len(self.control.heads), iterations)

    def _cycle(self, state: str) -> None:
        here = self.index[state]
        ways: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for block in self.control.paths[state]:
            begins = f"state == {self.state_bits}'d{here}" if block == state else " | ".join(edge for edge, _ in ways[block])
            condition = self.text.wire(f"p{here}_{self.place[block]}", 1, begins)
            for one in self.blocks[block]:
                if one.op in ("br", "ret"):
                    self._leave(state, block, condition, one, ways)
                elif one.op == "phi":
                    if block != state:
                        chosen = [
                            (edge, self._operand(one.operands[one.labels.index(source)], one.width, state, source))
                            for edge, source in ways[block]
                        ]
                        self._give(state, condition, one, _choice(chosen))
                elif one.op == "store":
                    self._store(state, block, condition, one)
                elif one.op in ("edgekit_pop", "edgekit_push", "edgekit_put"):
                    self._stream_call(state, block, condition, one)
                elif one.op not in NOTHING:
                    self._give(state, condition, one, self._value(state, block, one))

    def _give(self, state: str, condition: str, one: Instruction, value: str) -> None:
        wire = self.text.wire(f"s{self.index[state]}_{self.number[one.name]}", self.ranges.bits(one), value, signed=one.width > 1)
        self.given[one.name].append((condition, wire))

    def _operand(self, value: Operand, width: int, state: str, block: str) -> str:
        """A value as a block of a state's cycle sees it: of this cycle, of an earlier one, or of whichever came last."""
        if isinstance(value, int):
            return literal(value, width)
        definition, register = self.pointers.definitions[value], f"r{self.number[value]}"
        wire = f"s{self.index[state]}_{self.number[value]}"
        begins = definition.block == state and definition.op == "phi"
        if not begins and definition.block in self.control.above[state][block]:
            if definition.block in self.control.certain[state][block]:
                return wire
            self.kept.add(value)
            return f"(p{self.index[state]}_{self.place[definition.block]} ? {wire} : {register})"
        self.kept.add(value)
        return register

    def _operands(self, state: str, block: str, one: Instruction) -> list[str]:
        widths = [one.wide or one.width] * len(one.operands)
        if one.op == "select":
            widths[0] = 1
        return [self._operand(value, width, state, block) for value, width in zip(one.operands, widths, strict=True)]

    def _value(self, state: str, block: str, one: Instruction) -> str:
        if one.op == "load":
            return self._load(state, block, one)
        if one.op == "edgekit_lane":
            stream, lane = one.operands
            assert isinstance(stream, int) and isinstance(lane, int)
            shape = self.shapes[stream]
            part = f"in{stream}_data[{(lane + 1) * shape.width - 1}:{lane * shape.width}]"
            return f"$signed({part})" if shape.is_signed else f"$signed({{1'b0, {part}}})"
        return expression(one, self._operands(state, block, one), [self.ranges.of(part) for part in one.operands], self.text.unsigned)

    def _leave(self, state: str, block: str, condition: str, one: Instruction, ways: dict[str, list[tuple[str, str]]]) -> None:
        targets = self.control.targets[block]
        conditions = [condition]
        if len(targets) > 1:
            taken = self._operand(one.operands[0], 1, state, block)
            conditions = [f"{condition} & {taken}", f"{condition} & ~{taken}"]
        for place, (target, when) in enumerate(zip(targets, conditions, strict=True)):
            edge = self.text.wire(f"e{self.index[state]}_{self.place[block]}_{place}", 1, when)
            if target not in self.control.heads:
                ways[target].append((edge, block))
                continue
            self.text.clocked.append(f"      if ({edge}) begin state <= {self.state_bits}'d{self.index[target]};")
            for phi in self.blocks[target]:
                if phi.op == "phi":
                    self.kept.add(phi.name)
                    value = self._operand(phi.operands[phi.labels.index(block)], phi.width, state, block)
                    self.text.clocked.append(f"        r{self.number[phi.name]} <= {value};")
            self.text.clocked.append("      end")

    def _stream_call(self, state: str, block: str, condition: str, one: Instruction) -> None:
        stream = one.operands[0]
        assert isinstance(stream, int)
        if one.op == "edgekit_put":
            lane = one.operands[1]
            assert isinstance(lane, int)
            value = self._operand(one.operands[2], 32, state, block)
            self.puts[stream, lane].append((condition, self.text.unsigned(value, self.shapes[stream].width)))
            return
        uses = self.uses[one.op, stream]
        above = self.control.above[state]
        if any(other == state and before in above[block] for other, before, _ in uses):
            raise Refused(f"the translator knows no second token of stream {stream} in one cycle of {self.name}")
        uses.append((state, block, condition))

    def _sum(self, sum_: Sum, state: str, block: str) -> str:
        terms = [times(self._operand(name, 32, state, block), factor) for name, factor in sum_.factors]
        return " + ".join([*terms, literal(sum_.constant, 32)] if sum_.constant or not terms else terms)

    def _address(self, what: str, size: int, sum_: Sum, state: str, block: str) -> str:
        """A wire with a place among `size`; one for each expression, so that it is seen where several are the same."""
        key = (what, self._sum(sum_, state, block))
        if key not in self.addresses:
            self.addresses[key] = self.text.wire(f"a{len(self.addresses)}", max(1, (size - 1).bit_length()), key[1])
        return self.addresses[key]

    def _load(self, state: str, block: str, one: Instruction) -> str:
        pointer = self.pointers.of(address(one))
        memory = self.memories[pointer.array]
        if pointer.bank is not None and pointer.bank.factors:
            raise Refused(f"the translator knows no bank that is chosen when it is read, as in {self.name}")
        bank, lane = pointer.bank.constant if pointer.bank else 0, memory.lane(pointer)
        at = self._address(pointer.array, memory.words, memory.word(pointer), state, block)
        read = self.reads[pointer.array, bank][state]
        if at not in read:
            read.append(at)
        value = f"$signed({self._read_wire(pointer.array, bank, read.index(at), lane)})"
        for write in self.writes[pointer.array]:  # what this cycle has written is there already
            if write.state == state and write.lane == lane and write.block in self.control.above[state][block]:
                same = f"{write.condition} & ({write.address} == {at})" + (f" & ({write.bank} == {bank})" if write.bank else "")
                value = f"({same}) ? $signed({write.data}) : ({value})"
        return value if one.width > 1 else f"{self.text.unsigned(value, 1)}"

    def _store(self, state: str, block: str, condition: str, one: Instruction) -> None:
        pointer = self.pointers.of(address(one))
        memory = self.memories[pointer.array]
        data = self.text.unsigned(self._operand(one.operands[0], one.width, state, block), self._lane_bits(pointer.array))
        bank = self._address(f"bank of {pointer.array}", memory.banks, pointer.bank, state, block) if pointer.bank else ""
        at = self._address(pointer.array, memory.words, memory.word(pointer), state, block)
        self.writes[pointer.array].append(_Write(state, condition, bank, at, memory.lane(pointer), data, block))

    def _lane_bits(self, array: str) -> int:
        return bits(self.ranges.arrays[array])

    def _named(self, array: str, bank: int) -> str:
        return f"m{list(self.memories).index(array)}_{bank}"

    def _read_wire(self, array: str, bank: int, port: int, lane: int) -> str:
        width = self._lane_bits(array)
        return f"{self._named(array, bank)}_q{port}[{(lane + 1) * width - 1}:{lane * width}]"

    def _memory(self, array: str, memory: Memory) -> list[MemoryPorts]:
        writes = self.writes[array]
        at_once = max((len({(one.address, one.bank) for one in writes if one.state == state}) for state in self.control.states), default=0)
        reads = {bank: self.reads[array, bank] for bank in range(memory.banks)}
        most = max((len(found) for by_state in reads.values() for found in by_state.values()), default=0)
        width, found = self._lane_bits(array), []
        inside = memory.content is None and (at_once > 1 or most > READ_PORTS_MAX)
        for bank, by_state in reads.items():
            name = self._named(array, bank)
            ports = max((len(addresses) for addresses in by_state.values()), default=0)
            for port in range(ports):
                chosen = [(self._in(state), one[port]) for state, one in by_state.items() if len(one) > port]
                at = _choice(chosen)
                if inside:
                    words = ", ".join(f"{name}_l{lane}[{name}_a{port}]" for lane in reversed(range(len(memory.lanes))))
                    self.text.wire(f"{name}_a{port}", max(1, (memory.words - 1).bit_length()), at)
                    self.text.wire(f"{name}_q{port}", width * len(memory.lanes), f"{{{words}}}")
                else:
                    self._port("output", f"{name}_a{port}", max(1, (memory.words - 1).bit_length()), at)
                    self._port("input", f"{name}_q{port}", width * len(memory.lanes))
            if inside:
                self._registers(name, bank, memory, writes, width)
                continue
            content = None
            if memory.content is not None:
                mask = (1 << width) - 1
                words_of = (memory.values(word) for word in range(memory.words))
                content = tuple(sum((value & mask) << (lane * width) for lane, value in enumerate(values)) for values in words_of)
            enables = self._write_port(name, bank, memory, writes, width) if memory.content is None else 0
            found.append(MemoryPorts(name, array, memory.words, width * len(memory.lanes), ports, enables, content))
        return found

    def _registers(self, name: str, bank: int, memory: Memory, writes: list[_Write], width: int) -> None:
        for lane in range(len(memory.lanes)):
            self.text.registers.append(f"  (* mem2reg *) reg [{width - 1}:0] {name}_l{lane} [0:{memory.words - 1}];")
        for one in writes:
            condition = one.condition + (f" & ({one.bank} == {bank})" if one.bank else "")
            self.text.clocked.append(f"      if ({condition}) {name}_l{one.lane}[{one.address}] <= {one.data};")

    def _write_port(self, name: str, bank: int, memory: Memory, writes: list[_Write], width: int) -> int:
        """Its ports; how many parts of a word are written on their own."""
        if not writes:
            raise Refused(f"{self.name} reads an array that nothing writes")
        lanes = range(len(memory.lanes))
        enables = []
        for lane in lanes:
            own = [one for one in writes if one.lane == lane]
            enables.append(" | ".join(one.condition + (f" & ({one.bank} == {bank})" if one.bank else "") for one in own) or "1'b0")
        data = [_choice([(one.condition, one.data) for one in reversed(writes) if one.lane == lane]) for lane in lanes]
        parts = [self.text.wire(f"{name}_d{lane}", width, value or "0") for lane, value in enumerate(data)]
        addresses = list(dict.fromkeys((self._in(one.state), one.address) for one in writes))
        self._port("output", f"{name}_wa", max(1, (memory.words - 1).bit_length()), _choice(addresses))
        self._port("output", f"{name}_wd", width * len(lanes), "{" + ", ".join(reversed(parts)) + "}")
        count = 1 if len(set(enables)) == 1 else len(lanes)
        self._port("output", f"{name}_we", count, "{" + ", ".join(f"fire & ({one})" for one in reversed(enables[:count])) + "}")
        return count

    def _in(self, state: str) -> str:
        return f"(state == {self.state_bits}'d{self.index[state]})"

    def _port(self, direction: str, name: str, width: int, value: str = "") -> None:
        self.text.ports.append(f"  {direction} [{width - 1}:0] {name}")
        if value:
            self.text.wires.append(("", name, value))

    def _streams(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        inputs = tuple(sorted(stream for op, stream in self.uses if op == "edgekit_pop"))
        outputs = tuple(sorted(stream for op, stream in self.uses if op == "edgekit_push"))
        ready = {}
        for op, prefix, streams, there in (("edgekit_pop", "in", inputs, "valid"), ("edgekit_push", "out", outputs, "ready")):
            for stream in streams:
                self.text.wire(f"use_{prefix}{stream}", 1, " | ".join(condition for _, _, condition in self.uses[op, stream]))
                ready[f"{prefix}{stream}"] = f"(~use_{prefix}{stream} | {prefix}{stream}_{there})"
        self._port("output", "fire", 1, " & ".join(ready.values()) or "1'b1")
        for prefix, streams, mine, theirs, way in (("in", inputs, "ready", "valid", "input"), ("out", outputs, "valid", "ready", "output")):
            for stream in streams:
                port = f"{prefix}{stream}"
                others = [f"use_{port}", *(text for name, text in ready.items() if name != port)]
                self._port("output", f"{port}_{mine}", 1, " & ".join(others))
                self._port("input", f"{port}_{theirs}", 1)
                shape = self.shapes[stream]
                data = [_choice(self.puts[stream, lane]) for lane in reversed(range(shape.lanes))] if way == "output" else []
                self._port(way, f"{port}_data", shape.bits, "{" + ", ".join(f"({one})" for one in data) + "}" if data else "")
        return inputs, outputs


def _choice(ways: list[tuple[str, str]]) -> str:
    """The value of the first condition that is true; the last one's where all values are equal or no other is."""
    if len({value for _, value in ways}) <= 1:
        return ways[0][1] if ways else ""
    return " : ".join([*(f"{condition} ? {value}" for condition, value in ways[:-1]), ways[-1][1]])
