// The top function of the IP. It reads images and writes results, and reads the weights that lie in memory, over AXI masters. The
// loop over frames is a pipeline of frames: while one is in the last layers the next ones are in the first. The registers of
// the control port are at the offsets that the drivers use.

#include "accelerator.h"

static void frame($frame_parameters) {
    #pragma HLS DATAFLOW
    hls::stream<$input_type> input("input");
    #pragma HLS STREAM variable=input depth=32
$declare_outputs
    edgekit::read_image<$input_values, edgekit::word_bytes>(images, index, input);
    edgekit_network(input, $network_arguments);
$write_outputs
}

void edgekit_accelerator($parameters) {
$interface
    #pragma HLS INTERFACE s_axilite port=frames bundle=control offset=$register_frames
    #pragma HLS INTERFACE s_axilite port=return bundle=control
Frame:
    for (unsigned index = 0; index < edgekit::frames_max; index++) {
        #pragma HLS LOOP_TRIPCOUNT min=1 max=16
        if (index >= frames) {
            break;
        }
        frame($frame_arguments);
    }
}
