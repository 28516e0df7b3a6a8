# Synthesizes the engine for the $board ($part) and exports it to build_ip/solution/impl/ip.
open_project -reset build_ip
set_top edgekit_accelerator
add_files accelerator.cpp -cflags "-std=c++14"
add_files -tb testbench.cpp -cflags "-std=c++14"
add_files -tb application/program.h
add_files -tb network.program
add_files -tb tb_data
open_solution -reset solution -flow_target vivado
set_part $part
create_clock -period $clock_period_ns -name default
csynth_design
export_design -format ip_catalog -ipname edgekit_accelerator -vendor edgekit
exit
