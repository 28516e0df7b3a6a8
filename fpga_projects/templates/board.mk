# make bitstream              after make ip: block design, placement and routing with Vivado
# make application            the program that checks and times the accelerator on the board; CXX names its compiler
# make overlay                edgekit.bit.bin and edgekit.dtbo, which Linux loads
# make deploy BOARD=user@host copy all this there
# make check BOARD=user@host  there, load the overlay, compare with the numpy reference's results, then time

VIVADO_PROGRAM = $$(or $$(EDGEKIT_VIVADO),$$(VIVADO),vivado)
CXX_FOR_BOARD ?= $compiler
DTC ?= dtc
SCP ?= scp
SSH ?= ssh
DESTINATION ?= edgekit-$name
APPLICATION = $$(wildcard application/*.cc application/core/*.cc)

.PHONY: ${simulation_targets}bitstream application overlay deploy check

$simulation
bitstream: build/edgekit.bit

build/edgekit.bit: build_bitstream.tcl processing_system.tcl
	@command -v $$(VIVADO_PROGRAM) >/dev/null || { echo "$$(VIVADO_PROGRAM) is not there: install AMD Vivado and source its settings64.sh, or set EDGEKIT_VIVADO to the program" >&2; exit 2; }
	@test -d build_ip/solution/impl/ip || { echo "there is no IP yet: make ip first" >&2; exit 2; }
	$$(VIVADO_PROGRAM) -mode batch -source build_bitstream.tcl -journal build_bitstream.jou -log build_bitstream.log

application: build/edgekit-zynq

build/edgekit-zynq: $$(APPLICATION) $$(wildcard application/*.h application/core/*.h)
	mkdir -p build
	$$(CXX_FOR_BOARD) -std=c++17 -O2 -Wall -Wextra -D_FILE_OFFSET_BITS=64 -Iapplication $$(APPLICATION) -static -o $$@

overlay: build/edgekit.dtbo

build/edgekit.dtbo: overlay.dts
	@command -v $$(DTC) >/dev/null || { echo "$$(DTC) is not there: install device-tree-compiler, or set DTC to the program" >&2; exit 2; }
	mkdir -p build
	$$(DTC) -@ -q -I dts -O dtb -o $$@ overlay.dts

deploy:
	@test -n "$$(BOARD)" || { echo "which board? make deploy BOARD=user@host" >&2; exit 2; }
	@test -f build/edgekit.bit || { echo "there is no bitstream yet: make bitstream first" >&2; exit 2; }
	$$(SSH) $$(BOARD) mkdir -p $$(DESTINATION)/firmware
	$$(SCP) -r $$(wildcard build/edgekit.bit build/edgekit.hwh build/edgekit.dtbo build/edgekit-zynq) $carried $$(BOARD):$$(DESTINATION)
$carried_last

check: deploy
	$$(SSH) -t $$(BOARD) "cd $$(DESTINATION) && sudo -E python3 driver.py"
