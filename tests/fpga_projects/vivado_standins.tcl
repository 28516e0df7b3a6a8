# Stand-ins for the Vivado commands that build_bitstream.tcl calls: tclsh vivado_standins.tcl build_bitstream.tcl
#
# They know the blocks that may be used, their pins and parameters, and refuse everything else: an unknown block, parameter, pin,
# interface or option, an output joined to an output, a port left open. They were written from Vivado's documentation (UG835,
# UG994, PG201, PG082, PG164, PG247) and do no more than look names up.

proc refuse {text} { error "vivado stand-in: $text" }

# Block -> its parameters, and its pins and interfaces: name, kind, and the parameter setting without which it is not there.
# Kinds: clock_in clock_out reset_in reset_out irq_in irq_out, and the interfaces' master and slave.
set catalog [dict create \
    xilinx.com:ip:zynq_ultra_ps_e {
        parameters {PSU__USE__M_AXI_GP0 PSU__USE__M_AXI_GP1 PSU__USE__M_AXI_GP2 PSU__USE__S_AXI_GP2 PSU__SAXIGP2__DATA_WIDTH
            PSU__USE__S_AXI_GP3 PSU__SAXIGP3__DATA_WIDTH
            PSU__USE__IRQ0 PSU__FPGA_PL0_ENABLE PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ}
        pins {
            {pl_clk0 clock_out {PSU__FPGA_PL0_ENABLE 1}} {pl_resetn0 reset_out} {pl_ps_irq0 irq_in {PSU__USE__IRQ0 1}}
            {M_AXI_HPM0_FPD master {PSU__USE__M_AXI_GP0 1}} {maxihpm0_fpd_aclk clock_in {PSU__USE__M_AXI_GP0 1}}
            {M_AXI_HPM1_FPD master {PSU__USE__M_AXI_GP1 1}} {maxihpm1_fpd_aclk clock_in {PSU__USE__M_AXI_GP1 1}}
            {M_AXI_HPM0_LPD master {PSU__USE__M_AXI_GP2 1}} {maxihpm0_lpd_aclk clock_in {PSU__USE__M_AXI_GP2 1}}
            {S_AXI_HP0_FPD slave {PSU__USE__S_AXI_GP2 1}} {saxihp0_fpd_aclk clock_in {PSU__USE__S_AXI_GP2 1}}
            {S_AXI_HP1_FPD slave {PSU__USE__S_AXI_GP3 1}} {saxihp1_fpd_aclk clock_in {PSU__USE__S_AXI_GP3 1}}
        }
        preset {PSU__USE__M_AXI_GP0 1 PSU__USE__M_AXI_GP1 1 PSU__FPGA_PL0_ENABLE 1}
    } \
    xilinx.com:ip:processing_system7 {
        parameters {PCW_USE_M_AXI_GP0 PCW_USE_S_AXI_HP0 PCW_S_AXI_HP0_DATA_WIDTH PCW_USE_S_AXI_HP1 PCW_S_AXI_HP1_DATA_WIDTH PCW_USE_FABRIC_INTERRUPT PCW_IRQ_F2P_INTR
            PCW_EN_CLK0_PORT PCW_FPGA0_PERIPHERAL_FREQMHZ}
        pins {
            {FCLK_CLK0 clock_out {PCW_EN_CLK0_PORT 1}} {FCLK_RESET0_N reset_out} {IRQ_F2P irq_in {PCW_USE_FABRIC_INTERRUPT 1}}
            {M_AXI_GP0 master {PCW_USE_M_AXI_GP0 1}} {M_AXI_GP0_ACLK clock_in {PCW_USE_M_AXI_GP0 1}}
            {S_AXI_HP0 slave {PCW_USE_S_AXI_HP0 1}} {S_AXI_HP0_ACLK clock_in {PCW_USE_S_AXI_HP0 1}}
            {S_AXI_HP1 slave {PCW_USE_S_AXI_HP1 1}} {S_AXI_HP1_ACLK clock_in {PCW_USE_S_AXI_HP1 1}}
        }
        preset {PCW_USE_M_AXI_GP0 1 PCW_EN_CLK0_PORT 1}
    } \
    xilinx.com:ip:proc_sys_reset {
        parameters {}
        pins {{slowest_sync_clk clock_in} {ext_reset_in reset_in} {peripheral_aresetn reset_out} {interconnect_aresetn reset_out optional}}
    } \
    xilinx.com:ip:smartconnect {
        parameters {NUM_SI NUM_MI}
        pins {{aclk clock_in} {aresetn reset_in}}
    } \
    edgekit:hls:edgekit_accelerator {
        parameters {}
        pins {{ap_clk clock_in} {ap_rst_n reset_in} {interrupt irq_out} {s_axi_control slave}}
    }]
set rules {xilinx.com:bd_rule:zynq_ultra_ps_e xilinx.com:ip:zynq_ultra_ps_e xilinx.com:bd_rule:processing_system7 xilinx.com:ip:processing_system7}
set cells [dict create]
set settings [dict create]
set joined [dict create]
set project [dict create]
set segments {}
set implemented 0

# The masters that the accelerator's own source declares.
proc accelerator_masters {} {
    set file [open accelerator.cpp]
    set text [read $file]
    close $file
    return [lsort -unique [lmap {- name} [regexp -all -inline {INTERFACE m_axi port=\w+ bundle=(\w+)} $text] {set name}]]
}

# name -> kind of everything that a cell shows with its settings; a mark for what may stay open.
proc pins_of {cell} {
    global catalog cells settings
    if {![dict exists $cells $cell]} { refuse "there is no cell '$cell'" }
    set block [dict get $cells $cell]
    set found {}
    foreach pin [dict get $catalog $block pins] {
        lassign $pin name kind condition
        if {$condition eq "" || $condition eq "optional"} {
            dict set found $name $kind
        } else {
            lassign $condition parameter value
            if {[dict exists $settings $cell $parameter] && [dict get $settings $cell $parameter] eq $value} { dict set found $name $kind }
        }
    }
    if {$block eq "xilinx.com:ip:smartconnect"} {
        foreach {parameter form kind} {NUM_SI S%02d_AXI slave NUM_MI M%02d_AXI master} {
            for {set i 0} {$i < [dict get $settings $cell $parameter]} {incr i} { dict set found [format $form $i] $kind }
        }
    }
    if {$block eq "edgekit:hls:edgekit_accelerator"} {
        foreach name [accelerator_masters] { dict set found m_axi_$name master }
    }
    return $found
}

proc kind_of {path} {
    lassign [split $path /] cell pin
    set pins [pins_of $cell]
    if {![dict exists $pins $pin]} { refuse "'$cell' has no pin '$pin'; it has [lsort [dict keys $pins]]" }
    return [dict get $pins $pin]
}

proc look_up {path kinds} {
    set kind [kind_of $path]
    if {$kind ni $kinds} { refuse "'$path' is a $kind, wanted is one of $kinds" }
    return $path
}

proc options {words known} {
    set found {}
    while {[llength $words]} {
        set words [lassign $words word]
        if {![string match -* $word]} {
            dict lappend found values $word
        } elseif {$word ni [dict keys $known]} {
            refuse "unknown option $word; known are [dict keys $known]"
        } elseif {[dict get $known $word]} {
            set words [lassign $words value]
            dict set found $word $value
        } else {
            dict set found $word 1
        }
    }
    return $found
}

proc create_project {args} {
    set given [options $args {-part 1 -force 0}]
    if {![regexp {^xc[a-z0-9]+-[A-Za-z0-9-]+$|^xc7z\d+clg\d+-\d$} [dict get $given -part]]} { refuse "no such part: [dict get $given -part]" }
    set ::folder [lindex [dict get $given values] 1]
    dict set ::project part [dict get $given -part]
}

proc current_project {} { return project }
proc current_fileset {} { return fileset }
proc update_ip_catalog {} { if {![dict exists $::project ip_repo_paths]} { refuse "no ip_repo_paths" } }
proc create_bd_design {name} { set ::design $name }

proc create_bd_cell {args} {
    set given [options $args {-type 1 -vlnv 1}]
    if {[dict get $given -type] ne "ip"} { refuse "cells are of type ip here" }
    set block [dict get $given -vlnv]
    if {![dict exists $::catalog $block]} { refuse "no block '$block' in the catalog; there are [lsort [dict keys $::catalog]]" }
    set name [lindex [dict get $given values] 0]
    if {[dict exists $::cells $name]} { refuse "two cells '$name'" }
    dict set ::cells $name $block
    dict set ::settings $name {}
    return $name
}

proc apply_bd_automation {args} {
    set given [options $args {-rule 1 -config 1}]
    set cell [lindex [dict get $given values] 0]
    if {![dict exists $::rules [dict get $given -rule]]} { refuse "no rule [dict get $given -rule]" }
    if {[dict get $::cells $cell] ne [dict get $::rules [dict get $given -rule]]} { refuse "the rule is not for '$cell'" }
    if {[dict get [dict get $given -config] apply_board_preset] ne "1"} { refuse "the board's preset is not applied" }
    if {![dict exists $::project board_part]} { refuse "there is no board whose preset could be applied" }
    dict set ::settings $cell [dict get $::catalog [dict get $::cells $cell] preset]
}

proc set_property {args} {
    if {[lindex $args 0] eq "-dict"} {
        lassign $args - pairs object
    } else {
        lassign $args name value object
        set pairs [list $name $value]
    }
    foreach {name value} $pairs {
        if {$object in {project fileset}} {
            if {$name ni {board_part board_connections ip_repo_paths top}} { refuse "unknown property '$name' of the $object" }
            dict set ::project $name $value
            continue
        }
        if {![dict exists $::cells $object]} { refuse "there is no cell '$object'" }
        set parameter [regsub {^CONFIG\.} $name {}]
        if {$parameter eq $name || $parameter ni [dict get $::catalog [dict get $::cells $object] parameters]} {
            refuse "'$object' has no parameter '$name'"
        }
        dict set ::settings $object $parameter $value
    }
}

proc get_property {name object} {
    return [dict get [dict create PROGRESS [expr {$::implemented ? "100%" : "0%"}] STATS.WNS $::env(STANDIN_SLACK)] $name]
}

proc get_bd_pins {path} { return [look_up $path {clock_in clock_out reset_in reset_out irq_in irq_out}] }
proc get_bd_intf_pins {path} { return [look_up $path {master slave}] }
proc get_bd_addr_spaces {path} { if {$path ne "processing_system/Data"} { refuse "no address space '$path'" }; return $path }
proc get_bd_addr_segs {path} { look_up [file dirname $path] slave; return $path }
proc get_files {name} { if {$name ne "$::design.bd"} { refuse "no file '$name'" }; return $name }
proc get_runs {name} { if {$name ni {synth_1 impl_1}} { refuse "no run '$name'" }; return $name }

proc connect_bd_net {from to} {
    set kinds [list [kind_of $from] [kind_of $to]]
    if {$kinds ni {{clock_out clock_in} {reset_out reset_in} {irq_out irq_in}}} { refuse "'$from' cannot drive '$to' ($kinds)" }
    if {[dict exists $::joined $to]} { refuse "'$to' is driven twice" }
    dict set ::joined $to $from
    dict set ::joined $from $to
}

proc connect_bd_intf_net {from to} {
    if {[list [kind_of $from] [kind_of $to]] ne {master slave}} { refuse "'$from' and '$to' are not a master and a slave" }
    foreach end [list $from $to] { if {[dict exists $::joined $end]} { refuse "'$end' is joined twice" } }
    dict set ::joined $to $from
    dict set ::joined $from $to
}

proc assign_bd_address {args} { lappend ::segments [options $args {-offset 1 -range 1 -target_address_space 1}] }

proc validate_bd_design {} {
    foreach cell [dict keys $::cells] {
        foreach {pin kind} [pins_of $cell] {
            if {$kind in {clock_in reset_in irq_in master slave irq_out} && ![dict exists $::joined $cell/$pin]} {
                refuse "'$cell/$pin' is not connected"
            }
        }
    }
    if {![llength $::segments]} { refuse "no addresses" }
    set ::validated 1
}

proc save_bd_design {} { if {![info exists ::validated]} { refuse "the design was not validated" } }

proc make_wrapper {args} { options $args {-files 1 -top 0 -import 0} }

proc launch_runs {args} {
    set given [options $args {-to_step 1 -jobs 1}]
    if {[dict get $::project top] ne "design_wrapper" || [dict get $given -to_step] ne "write_bitstream"} { refuse "this makes no bitstream" }
    foreach {path} {edgekit.runs/impl_1/design_wrapper.bit edgekit.gen/sources_1/bd/design/hw_handoff/design.hwh} {
        file mkdir [file dirname $::folder/$path]
        close [open $::folder/$path w]
    }
}

proc wait_on_run {run} { set ::implemented 1 }
proc open_run {run} {}
proc report_utilization {args} { options $args {-hierarchical 0 -file 1} }
proc report_timing_summary {args} { options $args {-file 1} }

if {![info exists ::env(STANDIN_SLACK)]} { set ::env(STANDIN_SLACK) 0.5 }
source [lindex $argv 0]
puts "part [dict get $project part] board [dict get $project board_part]"
dict for {cell values} $settings { dict for {name value} $values { puts "$cell $name $value" } }
foreach segment $segments { if {[dict exists $segment -offset]} { puts "control at [dict get $segment -offset]" } }
