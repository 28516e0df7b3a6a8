// The top function of the IP. It reads images and writes results over two AXI masters; the loop over frames is a pipeline of
// frames: while one is in the last layers the next ones are in the first. Registers are at the offsets that the drivers use.

#include "accelerator.h"

using edgekit::word_t;

static void frame(const word_t *images, word_t *results, unsigned index) {
    #pragma HLS DATAFLOW
    hls::stream<$input_type> input("input");
    #pragma HLS STREAM variable=input depth=32
$declare_outputs
    edgekit::read_image<$input_values, edgekit::word_bytes>(images, index, input);
    edgekit_network(input, $outputs);
$write_outputs
}

void edgekit_accelerator(const word_t *images, word_t *results, unsigned frames) {
    #pragma HLS INTERFACE m_axi port=images bundle=images offset=slave depth=$depth_images max_read_burst_length=$burst num_read_outstanding=8
    #pragma HLS INTERFACE m_axi port=results bundle=results offset=slave depth=$depth_results max_write_burst_length=$burst num_write_outstanding=8
    #pragma HLS INTERFACE s_axilite port=images bundle=control offset=$register_images
    #pragma HLS INTERFACE s_axilite port=results bundle=control offset=$register_results
    #pragma HLS INTERFACE s_axilite port=frames bundle=control offset=$register_frames
    #pragma HLS INTERFACE s_axilite port=return bundle=control
Frame:
    for (unsigned index = 0; index < edgekit::frames_max; index++) {
        #pragma HLS LOOP_TRIPCOUNT min=1 max=16
        if (index >= frames) {
            break;
        }
        frame(images, results, index);
    }
}
