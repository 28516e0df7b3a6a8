# The processing system of a Zynq-7000, and where an accelerator connects to it.

set control_address $control_address

proc make_processing_system {clock_mhz} {
    set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7 processing_system]
    apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
        -config {make_external "FIXED_IO, DDR" apply_board_preset 1 Master Disable Slave Disable} $$ps
    set_property -dict [list \
        CONFIG.PCW_USE_M_AXI_GP0 1 \
        CONFIG.PCW_USE_S_AXI_HP0 1 \
        CONFIG.PCW_S_AXI_HP0_DATA_WIDTH $hp_port_bits \
$second_port_settings        CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
        CONFIG.PCW_IRQ_F2P_INTR 1 \
        CONFIG.PCW_EN_CLK0_PORT 1 \
        CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $$clock_mhz \
    ] $$ps
    return [dict create \
        clock processing_system/FCLK_CLK0 \
        reset processing_system/FCLK_RESET0_N \
        interrupt processing_system/IRQ_F2P \
        control processing_system/M_AXI_GP0 \
        memory processing_system/S_AXI_HP0 \
$second_port        port_clocks {processing_system/M_AXI_GP0_ACLK processing_system/S_AXI_HP0_ACLK$second_port_clock} \
        address_space processing_system/Data \
    ]
}
