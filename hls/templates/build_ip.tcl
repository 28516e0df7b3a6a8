# Synthesizes the network for the $board ($part) and exports it to build_ip/solution/impl/ip.
open_project -reset build_ip
set_top $top
foreach source {$sources} {
    add_files $$source -cflags "-std=c++14"
}
add_files -tb $testbench -cflags "-std=c++14"
add_files -tb network_io.h
add_files -tb firmware/weights
add_files -tb tb_data
if {[file isdirectory firmware/memory]} {
    add_files -tb firmware/memory
}
open_solution -reset solution -flow_target vivado
set_part $part
create_clock -period $clock_period_ns -name default
config_compile -name_max_length 80
csynth_design
export_design -format ip_catalog -ipname $top -vendor edgekit
exit
