# The accelerator with the processors of the $board, as a bitstream: build/edgekit.bit and build/edgekit.hwh.
# Run by `make bitstream`, after `make ip`:  vivado -mode batch -source build_bitstream.tcl

source processing_system.tcl

set jobs 4
if {[info exists ::env(JOBS)]} { set jobs $$::env(JOBS) }

create_project edgekit build_bitstream -part $part -force
set_property board_part $board_part [current_project]
$carrier
set_property ip_repo_paths build_ip/solution/impl/ip [current_project]
update_ip_catalog

# One clock for everything. The accelerator is told what to do over its control port, and reads and writes memory by itself.
create_bd_design design
set ps [make_processing_system $clock_mhz]
create_bd_cell -type ip -vlnv edgekit:hls:edgekit_accelerator accelerator
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset
set control [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control]
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 1] $$control
set memory [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect memory]
set_property -dict [list CONFIG.NUM_SI $masters CONFIG.NUM_MI 1] $$memory

set clocked [list reset/slowest_sync_clk accelerator/ap_clk control/aclk memory/aclk {*}[dict get $$ps port_clocks]]
foreach pin $$clocked {
    connect_bd_net [get_bd_pins [dict get $$ps clock]] [get_bd_pins $$pin]
}
connect_bd_net [get_bd_pins [dict get $$ps reset]] [get_bd_pins reset/ext_reset_in]
foreach pin {accelerator/ap_rst_n control/aresetn memory/aresetn} {
    connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $$pin]
}
connect_bd_net [get_bd_pins accelerator/interrupt] [get_bd_pins [dict get $$ps interrupt]]
connect_bd_intf_net [get_bd_intf_pins [dict get $$ps control]] [get_bd_intf_pins control/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins control/M00_AXI] [get_bd_intf_pins accelerator/s_axi_control]
$connect_memories
connect_bd_intf_net [get_bd_intf_pins memory/M00_AXI] [get_bd_intf_pins [dict get $$ps memory]]

assign_bd_address -offset $$control_address -range 64K -target_address_space [get_bd_addr_spaces [dict get $$ps address_space]] \
    [get_bd_addr_segs accelerator/s_axi_control/Reg]
assign_bd_address
validate_bd_design
save_bd_design
make_wrapper -files [get_files design.bd] -top -import
set_property top design_wrapper [current_fileset]

launch_runs impl_1 -to_step write_bitstream -jobs $$jobs
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
    error "implementation failed; build_bitstream/edgekit.runs/impl_1/runme.log says why"
}
file mkdir build
open_run impl_1
report_utilization -hierarchical -file build/utilization.rpt
report_timing_summary -file build/timing.rpt
set slack [get_property STATS.WNS [get_runs impl_1]]
if {$$slack < 0} {
    error "timing is not met at $clock_mhz MHz: the worst slack is $$slack ns (build/timing.rpt). Ask edgekit hls for a lower --clock"
}
set bitstreams [glob build_bitstream/edgekit.runs/impl_1/*.bit]
set handoffs [glob build_bitstream/edgekit.*/sources_1/bd/design/hw_handoff/design.hwh]
file copy -force [lindex $$bitstreams 0] build/edgekit.bit
file copy -force [lindex $$handoffs 0] build/edgekit.hwh
puts "build/edgekit.bit: $clock_mhz MHz, worst slack $$slack ns"
