// AXI masters as Vitis HLS puts them beside a loop whose addresses ascend by one, and a memory with latency, bursts and so many bytes a
// cycle for all masters together. A master serves a call of the loop after the other: the CALL_WORDS of a call are asked for from its
// beginning on, as many calls as there are frames. The first one is at START, each other one STRIDE words behind the one before. No burst
// is longer than BURST words of BYTES, or crosses 4,096 bytes.

module axi_reader #(
  parameter WIDTH = 8, BYTES = 1, ADDRESS_BITS = 1, START = 0, STRIDE = 0, CALL_WORDS = 1, BURST = 64, OUTSTANDING = 8
) (
  input clk, input rst,
  input ready, output valid, input [ADDRESS_BITS-1:0] address, output [WIDTH-1:0] data,
  output arvalid, output [31:0] araddr, output [31:0] arlen, input rvalid, input [WIDTH-1:0] rdata, input rlast
);
  localparam PAGE = 4096 / BYTES, ROOM = BURST * OUTSTANDING;
  reg [WIDTH-1:0] kept [0:ROOM-1];
  integer frames, calls = 0, to_ask = CALL_WORDS, to_take = CALL_WORDS, place = START, expected = START, bursts = 0, reserved = 0, waiting = 0, in = 0, out = 0;
  initial if (!$value$plusargs("frames=%d", frames)) frames = 1;
  wire [31:0] page = PAGE - place % PAGE;
  wire [31:0] most = page < BURST ? page : BURST;
  assign arlen = to_ask < most ? to_ask : most;
  assign araddr = place;
  assign arvalid = !rst && to_ask != 0 && bursts < OUTSTANDING && reserved + arlen <= ROOM;
  assign valid = waiting != 0;
  assign data = kept[out];
  wire taken = ready & valid;
  always @(posedge clk) if (!rst) begin
    if (arvalid) begin
      to_ask <= to_ask - arlen;
      place <= place + arlen;
    end else if (taken & to_take == 1) begin
      calls <= calls + 1;
      to_ask <= calls == frames - 1 ? 0 : CALL_WORDS;
      place <= place - CALL_WORDS + STRIDE;
    end
    if (taken) begin
      if (address != ADDRESS_BITS'(expected)) begin $display("address %0d of a loop that is at word %0d", address, expected); $fatal; end
      expected <= to_take == 1 ? expected + 1 - CALL_WORDS + STRIDE : expected + 1;
      to_take <= to_take == 1 ? CALL_WORDS : to_take - 1;
      out <= out == ROOM - 1 ? 0 : out + 1;
    end
    if (rvalid) begin kept[in] <= rdata; in <= in == ROOM - 1 ? 0 : in + 1; end
    waiting <= waiting + (rvalid ? 1 : 0) - (taken ? 1 : 0);
    reserved <= reserved + (arvalid ? arlen : 0) - (taken ? 1 : 0);
    bursts <= bursts + (arvalid ? 1 : 0) - (rvalid & rlast ? 1 : 0);
  end
endmodule

module axi_writer #(
  parameter WIDTH = 8, BYTES = 1, ADDRESS_BITS = 1, START = 0, STRIDE = 0, CALL_WORDS = 1, BURST = 64, OUTSTANDING = 8
) (
  input clk, input rst, output [31:0] written,
  input valid, output ready, input [ADDRESS_BITS-1:0] address, input [WIDTH-1:0] data,
  output wvalid, input wready, output [31:0] waddr, output [WIDTH-1:0] wdata, output wlast, input bvalid, input [31:0] blen
);
  localparam PAGE = 4096 / BYTES, ROOM = 2 * BURST;
  reg [WIDTH-1:0] kept [0:ROOM-1];
  integer to_send = CALL_WORDS, to_take = CALL_WORDS, place = START, expected = START, waiting = 0, in = 0, out = 0, beat = 0, bursts = 0, length = 0, confirmed = 0;
  wire [31:0] page = PAGE - place % PAGE;
  wire [31:0] most = page < BURST ? page : BURST;
  wire [31:0] next = to_send < most ? to_send : most;
  assign written = confirmed;
  assign ready = waiting < ROOM;
  assign wvalid = !rst && length != 0;
  assign waddr = place;
  assign wdata = kept[out];
  assign wlast = beat == length - 1;
  wire taken = valid & ready, sent = wvalid & wready;
  always @(posedge clk) if (!rst) begin
    if (length == 0 && waiting >= next && bursts < OUTSTANDING) length <= next;
    if (taken) begin
      if (address != ADDRESS_BITS'(expected)) begin $display("address %0d of a loop that is at word %0d", address, expected); $fatal; end
      expected <= to_take == 1 ? expected + 1 - CALL_WORDS + STRIDE : expected + 1;
      to_take <= to_take == 1 ? CALL_WORDS : to_take - 1;
      kept[in] <= data;
      in <= in == ROOM - 1 ? 0 : in + 1;
    end
    if (sent) begin
      out <= out == ROOM - 1 ? 0 : out + 1;
      place <= to_send == 1 ? place + 1 - CALL_WORDS + STRIDE : place + 1;
      beat <= wlast ? 0 : beat + 1;
      to_send <= to_send == 1 ? CALL_WORDS : to_send - 1;
      if (wlast) length <= 0;
    end
    waiting <= waiting + (taken ? 1 : 0) - (sent ? 1 : 0);
    bursts <= bursts + (sent & wlast ? 1 : 0) - (bvalid ? 1 : 0);
    if (bvalid) confirmed <= confirmed + blen;
  end
endmodule

// What one master sees of the memory: bursts in their order, the first word `latency` cycles after it was asked for; each word when `grant`
// says that the memory has time for it.
module memory_read #(parameter WIDTH = 8, WORDS = 1, OUTSTANDING = 8, FILE = "") (
  input clk, input rst, input [63:0] cycle, output want, input grant,
  input arvalid, input [31:0] araddr, input [31:0] arlen, output rvalid, output [WIDTH-1:0] rdata, output rlast
);
  reg [WIDTH-1:0] words [0:WORDS-1];
  initial $readmemh(FILE, words);
  reg [63:0] due [0:OUTSTANDING-1];
  integer latency;
  initial if (!$value$plusargs("latency=%d", latency)) latency = 1;
  integer first [0:OUTSTANDING-1], length [0:OUTSTANDING-1], asked = 0, served = 0, waiting = 0, beat = 0;
  assign want = !rst && waiting != 0 && cycle >= due[served];
  assign rvalid = want & grant;
  assign rdata = words[first[served] + beat];
  assign rlast = beat == length[served] - 1;
  always @(posedge clk) if (!rst) begin
    if (arvalid) begin
      first[asked] <= araddr; length[asked] <= arlen; due[asked] <= cycle + latency; asked <= asked == OUTSTANDING - 1 ? 0 : asked + 1;
    end
    if (rvalid) begin
      beat <= rlast ? 0 : beat + 1;
      if (rlast) served <= served == OUTSTANDING - 1 ? 0 : served + 1;
    end
    waiting <= waiting + (arvalid ? 1 : 0) - (rvalid & rlast ? 1 : 0);
  end
endmodule

module memory_write #(parameter WIDTH = 8, WORDS = 1, OUTSTANDING = 8, FILE = "") (
  input clk, input rst, input [63:0] cycle, output want, input grant,
  input wvalid, output wready, input [31:0] waddr, input [WIDTH-1:0] wdata, input wlast, output bvalid, output [31:0] blen
);
  reg [WIDTH-1:0] words [0:WORDS-1];
  reg [63:0] due [0:OUTSTANDING-1];
  integer latency;
  initial if (!$value$plusargs("latency=%d", latency)) latency = 1;
  integer length [0:OUTSTANDING-1], asked = 0, served = 0, waiting = 0, beat = 0;
  assign want = wvalid;
  assign wready = grant;
  assign bvalid = !rst && waiting != 0 && cycle >= due[served];
  assign blen = length[served];
  wire sent = wvalid & wready;
  always @(posedge clk) if (!rst) begin
    if (sent) begin
      words[waddr] <= wdata;
      beat <= wlast ? 0 : beat + 1;
      if (wlast) begin due[asked] <= cycle + latency; length[asked] <= beat + 1; asked <= asked == OUTSTANDING - 1 ? 0 : asked + 1; end
    end
    if (bvalid) served <= served == OUTSTANDING - 1 ? 0 : served + 1;
    waiting <= waiting + (sent & wlast ? 1 : 0) - (bvalid ? 1 : 0);
  end
  final $writememh(FILE, words);
endmodule

// Which masters move a word in this cycle. `rate`: 1,024ths of a byte that the memory moves in a cycle; it never catches up on what it has
// not moved while none wanted. BYTES: of each master's word. They take turns.
module memory_time #(parameter PORTS = 1, parameter [32*PORTS-1:0] BYTES = 1) (
  input clk, input rst, input [PORTS-1:0] want, output reg [PORTS-1:0] grant
);
  integer left = 0, credit = 1, first = 0, rate, turn, port;
  initial if (!$value$plusargs("rate=%d", rate)) rate = 1024;
  always_comb begin
    left = credit; grant = 0;
    for (turn = 0; turn < PORTS; turn = turn + 1) begin
      port = first + turn < PORTS ? first + turn : first + turn - PORTS;
      if (want[port] && left > 0) begin grant[port] = 1; left = left - 1024 * BYTES[32*port +: 32]; end
    end
  end
  always @(posedge clk) if (!rst) begin
    credit <= left > 0 ? rate : left + rate;
    first <= first == PORTS - 1 ? 0 : first + 1;
  end
endmodule
