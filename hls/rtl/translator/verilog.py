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

from edgekit.hls.rtl.circuit import MemoryPorts, StageRtl, StreamShape, address_bits
from edgekit.hls.rtl.translator.control import Control, control_of
from edgekit.hls.rtl.translator.expressions import expression, literal, times
from edgekit.hls.rtl.translator.llvm import Function, Instruction, Module, Operand, Refused, read_function
from edgekit.hls.rtl.translator.memories import Memory, Outside, Pointer, Pointers, Sum, memories_of
from edgekit.hls.rtl.translator.ranges import Ranges, bits, ranges_of
from edgekit.hls.rtl.translator.walk import Walk, walk

READ_PORTS_MAX = 2
NOTHING = frozenset({"alloca", "getelementptr"})
ENDS = {"in": ("ready", "valid"), "out": ("valid", "ready"), "read": ("ready", "valid"), "write": ("valid", "ready")}
"""What a stage says at a port that it may have to wait for, a stream's or a master's, and what it is told."""


@dataclass(frozen=True)
class _Place:
    """A block in a state's cycle; `ran`: the wire that says whether it runs."""

    state: str
    block: str
    ran: str


@dataclass(frozen=True)
class _Write:
    place: _Place
    bank: str
    address: str
    lane: int
    data: str

    def enabled(self, bank: int) -> str:
        return self.place.ran + (f" & ({self.bank} == {bank})" if self.bank else "")


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

    def output(self, name: str, width: int, value: str) -> None:
        self.ports.append(f"  output [{width - 1}:0] {name}")
        self.wires.append(("", name, value))

    def input(self, name: str, width: int) -> None:
        self.ports.append(f"  input [{width - 1}:0] {name}")


def translate(
    module: Module, name: str, shapes: Mapping[int, StreamShape], outside: Mapping[str, Outside], walked: Walk | None = None
) -> StageRtl:
    """`shapes`: of streams, by number. `outside`: arrays that are not the function's own. `walked`: of loops that depend on data.

    Raises:
        Refused: the function has something that the translator does not know; the message names it.
    """
    function = read_function(module, name)
    control, pointers = control_of(function), Pointers(function, module.structs)
    memories = memories_of(pointers, outside)
    walked = walked or walk(function, control)
    ranges = ranges_of(function, pointers, memories, walked, shapes)
    return _Stage(function, control, pointers, memories, ranges, shapes).module(walked.iterations)


@dataclass
class _Stage:
    function: Function
    control: Control
    pointers: Pointers
    memories: Mapping[str, Memory]
    ranges: Ranges
    shapes: Mapping[int, StreamShape]
    text: _Text = field(default_factory=_Text)
    kept: set[str] = field(default_factory=set)
    """Values that have a register."""
    given: list[tuple[str, str, str]] = field(default_factory=list)
    """The values that cycles compute, each with the condition under which one does, and its wire."""
    uses: dict[tuple[str, int], list[_Place]] = field(default_factory=lambda: defaultdict(list))
    """What a cycle may have to wait for: way of ENDS and number -> where it is used."""
    said: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Port, or lane of a port's data -> the conditions under which it has a value, each with the value."""
    reads: dict[tuple[str, int], dict[str, list[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    """(array, bank) -> state -> the addresses that it reads."""
    writes: dict[str, list[_Write]] = field(default_factory=lambda: defaultdict(list))
    addresses: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.number = {one: place for place, one in enumerate(self.pointers.definitions)}
        self.place = {block: place for place, block in enumerate(self.function.blocks)}
        self.state_bits = max(1, (len(self.control.states) - 1).bit_length())
        self.index = {state: place for place, state in enumerate(self.control.states)}

    def module(self, iterations: int) -> StageRtl:
        for state in self.control.states:
            self._cycle(state)
        memories = tuple(port for array, memory in self.memories.items() for port in self._memory(array, memory))
        self._handshakes()
        inputs, outputs = (tuple(number for way, number in sorted(self.uses) if way == wanted) for wanted in ("in", "out"))
        for name in sorted(self.kept, key=self.number.__getitem__):
            one = self.pointers.definitions[name]
            kind = "" if one.width == 1 else "signed "
            self.text.registers.append(f"  reg {kind}[{self.ranges.bits(one) - 1}:0] r{self.number[name]} = 0;")
        given = [(self.number[name], condition, wire) for name, condition, wire in self.given if name in self.kept]
        self.text.clocked += [f"      if ({condition}) r{number} <= {wire};" for number, condition, wire in given]
        lines = [f"module {self.function.name} (", ",\n".join(["  input clk", "  input rst", *self.text.ports]), ");"]
        lines += [f"  reg [{self.state_bits - 1}:0] state = 0;", *self.text.registers]
        lines += [f"  wire {kind} {name};" for kind, name, _ in self.text.wires if kind]
        lines += [f"  assign {name} = {value};" for _, name, value in self.text.wires]
        lines += ["  always @(posedge clk)", "    if (rst) state <= 0;", "    else if (fire) begin", *self.text.clocked, "    end"]
        verilog = "\n".join([*lines, "endmodule", ""])
        return StageRtl(self.function.name, verilog, inputs, outputs, memories, len(self.control.heads), iterations)

    def _cycle(self, state: str) -> None:
        ways: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for block in self.control.paths[state]:
            begins = self._in(state) if block == state else " | ".join(edge for edge, _ in ways[block])
            at = _Place(state, block, self.text.wire(f"p{self.index[state]}_{self.place[block]}", 1, begins))
            for one in self.function.blocks[block]:
                if one.op in ("br", "ret"):
                    self._leave(at, one, ways)
                elif one.op == "phi":
                    if block != state:
                        self._give(at, one, _choice([(edge, self._come(one, state, source)) for edge, source in ways[block]]))
                elif one.op == "store":
                    self._store(at, one)
                elif one.op in ("edgekit_pop", "edgekit_push", "edgekit_put"):
                    self._stream_call(at, one)
                elif one.op not in NOTHING:
                    self._give(at, one, self._value(at, one))

    def _give(self, at: _Place, one: Instruction, value: str) -> None:
        wire = self.text.wire(f"s{self.index[at.state]}_{self.number[one.name]}", self.ranges.bits(one), value, signed=one.width > 1)
        self.given.append((one.name, at.ran, wire))

    def _operand(self, value: Operand, width: int, state: str, block: str) -> str:
        """A value as a block of a state's cycle sees it: of this cycle, of an earlier one, or of whichever came last."""
        if isinstance(value, int):
            return literal(value, width)
        definition, register = self.pointers.definitions[value], f"r{self.number[value]}"
        wire = f"s{self.index[state]}_{self.number[value]}"
        begins = definition.block == state and definition.op == "phi"
        here = not begins and definition.block in self.control.above[state][block]
        if here and definition.block in self.control.certain[state][block]:
            return wire
        self.kept.add(value)
        return f"(p{self.index[state]}_{self.place[definition.block]} ? {wire} : {register})" if here else register

    def _come(self, phi: Instruction, state: str, source: str) -> str:
        """What a phi takes that is entered from a block."""
        return self._operand(phi.operands[phi.labels.index(source)], phi.width, state, source)

    def _value(self, at: _Place, one: Instruction) -> str:
        if one.op == "load":
            return self._load(at, one)
        if one.op == "edgekit_lane":
            shape = self.shapes[one.stream]
            part = f"in{one.stream}_data[{(one.lane + 1) * shape.width - 1}:{one.lane * shape.width}]"
            return f"$signed({part})" if shape.is_signed else f"$signed({{1'b0, {part}}})"
        widths = [one.wide] * len(one.operands) if one.op != "select" else [1, one.width, one.width]
        parts = [self._operand(value, width, at.state, at.block) for value, width in zip(one.operands, widths, strict=True)]
        return expression(one, parts, [self.ranges.of(part) for part in one.operands], self.text.unsigned)

    def _leave(self, at: _Place, one: Instruction, ways: dict[str, list[tuple[str, str]]]) -> None:
        conditions = [at.ran]
        if len(one.labels) > 1:
            taken = self._operand(one.operands[0], 1, at.state, at.block)
            conditions = [f"{at.ran} & {taken}", f"{at.ran} & ~{taken}"]
        for place, (target, when) in enumerate(zip(self.control.targets[at.block], conditions, strict=True)):
            edge = self.text.wire(f"e{self.index[at.state]}_{self.place[at.block]}_{place}", 1, when)
            if target not in self.control.heads:
                ways[target].append((edge, at.block))
                continue
            self.text.clocked.append(f"      if ({edge}) begin state <= {self.state_bits}'d{self.index[target]};")
            phis = [phi for phi in self.function.blocks[target] if phi.op == "phi"]
            self.kept.update(phi.name for phi in phis)
            self.text.clocked += [f"        r{self.number[phi.name]} <= {self._come(phi, at.state, at.block)};" for phi in phis]
            self.text.clocked.append("      end")

    def _stream_call(self, at: _Place, one: Instruction) -> None:
        if one.op == "edgekit_put":
            value = self._operand(one.operands[0], 32, at.state, at.block)
            self.said[f"out{one.stream}_{one.lane}"].append((at.ran, self.text.unsigned(value, self.shapes[one.stream].width)))
        else:
            self._use("in" if one.op == "edgekit_pop" else "out", one.stream, at, f"token of stream {one.stream}")

    def _use(self, way: str, number: int, at: _Place, what: str) -> str:
        """A port that the cycle has to wait for: the beginning of its names."""
        before = self.uses[way, number]
        if any(other.state == at.state and other.block in self.control.above[at.state][at.block] for other in before):
            raise Refused(f"the translator knows no second {what} in one cycle of {self.function.name}")
        before.append(at)
        return f"{way}{number}"

    def _ask(self, way: str, pointer: Pointer, address: str, at: _Place) -> str:
        """A port for a word of an array behind a master."""
        port = self._use(way, self._number(pointer.array), at, f"word of {pointer.array}")
        self.said[f"{port}_address"].append((at.ran, address))
        return port

    def _address(self, what: str, size: int, sum_: Sum, at: _Place) -> str:
        """A wire with a place among `size`; one for each expression, so that it is seen where several are the same."""
        terms = [times(self._operand(name, 32, at.state, at.block), factor) for name, factor in sum_.factors]
        key = (what, " + ".join([*terms, literal(sum_.constant, 32)] if sum_.constant or not terms else terms))
        if key not in self.addresses:
            self.addresses[key] = self.text.wire(f"a{len(self.addresses)}", address_bits(size), key[1])
        return self.addresses[key]

    def _load(self, at: _Place, one: Instruction) -> str:
        pointer = self.pointers.accessed(one)
        memory = self.memories[pointer.array]
        if pointer.bank.factors:
            raise Refused(f"the translator knows no bank that is chosen when it is read, as in {self.function.name}")
        bank, lane, width = pointer.bank.constant, memory.lane(pointer), self._lane_bits(pointer.array)
        address = self._address(pointer.array, memory.words, memory.word(pointer), at)
        if memory.behind_master:
            return f"$signed({self._ask('read', pointer, address, at)}_data)"
        read = self.reads[pointer.array, bank][at.state]
        if address not in read:
            read.append(address)
        value = f"$signed({self._named(pointer.array, bank)}_q{read.index(address)}[{(lane + 1) * width - 1}:{lane * width}])"
        for write in self.writes[pointer.array]:  # what this cycle has written is there already
            if write.place.state == at.state and write.lane == lane and write.place.block in self.control.above[at.state][at.block]:
                value = f"({write.enabled(bank)} & ({write.address} == {address})) ? $signed({write.data}) : ({value})"
        return value if one.width > 1 else f"{self.text.unsigned(value, 1)}"

    def _store(self, at: _Place, one: Instruction) -> None:
        pointer = self.pointers.accessed(one)
        memory = self.memories[pointer.array]
        value = self._operand(one.operands[0], one.width, at.state, at.block)
        data = self.text.unsigned(value, self._lane_bits(pointer.array))
        bank = self._address(f"bank of {pointer.array}", memory.banks, pointer.bank, at) if memory.banks > 1 else ""
        address = self._address(pointer.array, memory.words, memory.word(pointer), at)
        if memory.behind_master:
            self.said[f"{self._ask('write', pointer, address, at)}_data"].append((at.ran, data))
        else:
            self.writes[pointer.array].append(_Write(at, bank, address, memory.lane(pointer), data))

    def _lane_bits(self, array: str) -> int:
        return bits(self.ranges.of(array))

    def _number(self, array: str) -> int:
        return list(self.memories).index(array)

    def _named(self, array: str, bank: int) -> str:
        return f"m{self._number(array)}_{bank}"

    def _memory(self, array: str, memory: Memory) -> list[MemoryPorts]:
        """A memory of each bank beside the stage; none where it is registers."""
        writes, width, bank_reads = self.writes[array], self._lane_bits(array), [self.reads[array, bank] for bank in range(memory.banks)]
        if memory.behind_master:
            ways = [way for way in ("read", "write") if (way, self._number(array)) in self.uses]
            return [self._word_port(way, array, memory) for way in ways]
        at_once = max(len({(one.address, one.bank) for one in writes if one.place.state == state}) for state in self.control.states)
        most = max((len(found) for by_state in bank_reads for found in by_state.values()), default=0)
        inside, found = memory.outside is None and (at_once > 1 or most > READ_PORTS_MAX), []
        for bank, by_state in enumerate(bank_reads):
            name = self._named(array, bank)
            ports = max(map(len, by_state.values()), default=0)
            for port in range(ports):
                address = _choice([(self._in(state), one[port]) for state, one in by_state.items() if len(one) > port])
                if inside:
                    words = ", ".join(f"{name}_l{lane}[{name}_a{port}]" for lane in reversed(range(len(memory.lanes))))
                    self.text.wire(f"{name}_a{port}", address_bits(memory.words), address)
                    self.text.wire(f"{name}_q{port}", width * len(memory.lanes), f"{{{words}}}")
                else:
                    self.text.output(f"{name}_a{port}", address_bits(memory.words), address)
                    self.text.input(f"{name}_q{port}", width * len(memory.lanes))
            if inside:
                for lane in range(len(memory.lanes)):
                    self.text.registers.append(f"  (* mem2reg *) reg [{width - 1}:0] {name}_l{lane} [0:{memory.words - 1}];")
                self.text.clocked += [f"      if ({one.enabled(bank)}) {name}_l{one.lane}[{one.address}] <= {one.data};" for one in writes]
            else:
                enables = self._write_port(name, bank, memory, writes, width) if memory.outside is None else 0
                found.append(MemoryPorts(name, array, memory.words, width * len(memory.lanes), ports, enables, memory.words_of(width)))
        return found

    def _word_port(self, way: str, array: str, memory: Memory) -> MemoryPorts:
        """Behind a master: the address, and the word that is read or written."""
        port, reads, width = f"{way}{self._number(array)}", way == "read", self._lane_bits(array)
        self.text.output(f"{port}_address", address_bits(memory.words), _choice(self.said[f"{port}_address"]))
        if reads:
            self.text.input(f"{port}_data", width)
        else:
            self.text.output(f"{port}_data", width, _choice(self.said[f"{port}_data"]))
        return MemoryPorts(port, array.removeprefix("@"), memory.words, width, int(reads), int(not reads), waits=True)

    def _write_port(self, name: str, bank: int, memory: Memory, writes: list[_Write], width: int) -> int:
        """Its ports; how many parts of a word are written on their own."""
        if not writes:
            raise Refused(f"{self.function.name} reads an array that nothing writes")
        by_lane = [[one for one in writes if one.lane == lane] for lane in range(len(memory.lanes))]
        enables = [" | ".join(one.enabled(bank) for one in own) or "1'b0" for own in by_lane]
        data = [_choice([(one.place.ran, one.data) for one in reversed(own)]) for own in by_lane]
        parts = [self.text.wire(f"{name}_d{lane}", width, value or "0") for lane, value in enumerate(data)]
        addresses = list(dict.fromkeys((self._in(one.place.state), one.address) for one in writes))
        self.text.output(f"{name}_wa", address_bits(memory.words), _choice(addresses))
        self.text.output(f"{name}_wd", width * len(parts), "{" + ", ".join(reversed(parts)) + "}")
        count = 1 if len(set(enables)) == 1 else len(enables)
        self.text.output(f"{name}_we", count, "{" + ", ".join(f"fire & ({one})" for one in reversed(enables[:count])) + "}")
        return count

    def _in(self, state: str) -> str:
        return f"(state == {self.state_bits}'d{self.index[state]})"

    def _handshakes(self) -> None:
        """A cycle is done, `fire`, when all that it uses is there; so each port waits for all others."""
        ready = {}
        for way, number in sorted(self.uses):
            port = f"{way}{number}"
            self.text.wire(f"use_{port}", 1, " | ".join(place.ran for place in self.uses[way, number]))
            ready[port] = f"(~use_{port} | {port}_{ENDS[way][1]})"
        self.text.output("fire", 1, " & ".join(ready.values()) or "1'b1")
        for way, number in sorted(self.uses):
            port, (mine, theirs) = f"{way}{number}", ENDS[way]
            self.text.output(f"{port}_{mine}", 1, " & ".join([f"use_{port}", *(text for name, text in ready.items() if name != port)]))
            self.text.input(f"{port}_{theirs}", 1)
            if way == "in":
                self.text.input(f"{port}_data", self.shapes[number].bits)
            if way == "out":
                data = [_choice(self.said[f"{port}_{lane}"]) for lane in reversed(range(self.shapes[number].lanes))]
                self.text.output(f"{port}_data", self.shapes[number].bits, "{" + ", ".join(f"({one})" for one in data) + "}")


def _choice(ways: list[tuple[str, str]]) -> str:
    """The value of the first condition that is true; the last one's where all values are equal or no other is."""
    if len({value for _, value in ways}) <= 1:
        return ways[0][1] if ways else ""
    return " : ".join([*(f"{condition} ? {value}" for condition, value in ways[:-1]), ways[-1][1]])
