# The processing system of a Zynq UltraScale+, and where an accelerator connects to it.
# M_AXI_GP0 is the port M_AXI_HPM0_FPD and S_AXI_GP2 the port S_AXI_HP0_FPD: Vivado's parameters and pins have different names.

set control_address $control_address

proc make_processing_system {clock_mhz} {
    set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e processing_system]
    apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset 1} $$ps
    set_property -dict [list \
        CONFIG.PSU__USE__M_AXI_GP0 1 \
        CONFIG.PSU__USE__M_AXI_GP1 0 \
        CONFIG.PSU__USE__M_AXI_GP2 0 \
        CONFIG.PSU__USE__S_AXI_GP2 1 \
        CONFIG.PSU__SAXIGP2__DATA_WIDTH $hp_port_bits \
$second_port_settings        CONFIG.PSU__USE__IRQ0 1 \
        CONFIG.PSU__FPGA_PL0_ENABLE 1 \
        CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $$clock_mhz \
    ] $$ps
    return [dict create \
        clock processing_system/pl_clk0 \
        reset processing_system/pl_resetn0 \
        interrupt processing_system/pl_ps_irq0 \
        control processing_system/M_AXI_HPM0_FPD \
        memory processing_system/S_AXI_HP0_FPD \
$second_port        port_clocks {processing_system/maxihpm0_fpd_aclk processing_system/saxihp0_fpd_aclk$second_port_clock} \
        address_space processing_system/Data \
    ]
}
