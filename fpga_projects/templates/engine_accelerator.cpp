// The top function of the IP: the engine (firmware/edgekit_engine.h) with what brings it jobs, rows of weights and images over AXI masters, and
// takes its results away. Each master belongs to one process. The registers of the control port are at the offsets that the drivers use.

#include "accelerator.h"

#ifdef EDGEKIT_NATIVE // the C simulation counts, and could watch
namespace nnet {
engine_counts engine_counted;
template <class memory_T> void engine_watch(unsigned, const memory_T &) {}
} // namespace nnet
#endif

typedef nnet::engine_row<engine_size> row_t;
typedef nnet::engine_token<engine_size> token_t;
typedef nnet::engine_word<engine_size> word_t;

// Depths: rows bridge the time in which memory is busy; of all others a FIFO of LUTs holds what a job or two are.
static void frame(const edgekit::memory_word *matrix_jobs, const edgekit::memory_word *matrix_program, const edgekit::memory_word *vector_jobs,
                  const edgekit::memory_word *vector_program, const unsigned char *image, word_t *results, const unsigned beats,
                  const unsigned matrix_count, const unsigned vector_count, const unsigned matrix_at, const unsigned vector_at,
                  const unsigned rows_at) {
    #pragma HLS DATAFLOW
    hls::stream<row_t> to_matrix("to_matrix"), to_vector("to_vector");
    #pragma HLS STREAM variable=to_matrix depth=$matrix_rows
    #pragma HLS STREAM variable=to_vector depth=$vector_rows
    hls::stream<token_t> tokens("tokens"), given("given");
    #pragma HLS STREAM variable=tokens depth=512
    #pragma HLS STREAM variable=given depth=32
    hls::stream<nnet::engine_part> matrix_parts("matrix_parts"), vector_parts("vector_parts");
    #pragma HLS STREAM variable=matrix_parts depth=32
    #pragma HLS STREAM variable=vector_parts depth=32
    hls::stream<nnet::engine_fill> matrix_fills("matrix_fills"), vector_fills("vector_fills");
    #pragma HLS STREAM variable=matrix_fills depth=4
    #pragma HLS STREAM variable=vector_fills depth=4
    hls::stream<nnet::engine_lines> loads("loads");
    #pragma HLS STREAM variable=loads depth=4
    hls::stream<nnet::engine_stored> stores("stores");
    #pragma HLS STREAM variable=stores depth=4
    nnet::read_matrix_jobs<engine_size>(matrix_jobs, matrix_count, matrix_parts, matrix_fills);
    nnet::read_vector_jobs<engine_size>(vector_jobs, vector_count, vector_parts, vector_fills, loads, stores);
    nnet::read_engine_rows<engine_size>(matrix_program, matrix_at / edgekit::word_bytes, matrix_count, rows_at / edgekit::word_bytes, to_matrix);
    nnet::read_engine_rows<engine_size>(vector_program, vector_at / edgekit::word_bytes, vector_count, rows_at / edgekit::word_bytes, to_vector);
    nnet::read_engine_image<engine_size>(loads, vector_count, image, tokens);
    nnet::run_engine<engine_size>(beats, matrix_count, vector_count, matrix_parts, matrix_fills, to_matrix, vector_parts, vector_fills,
                                  to_vector, tokens, given);
    nnet::write_engine_results<engine_size>(stores, vector_count, given, results);
}

unsigned edgekit_accelerator(const edgekit::memory_word *matrix_jobs, const edgekit::memory_word *matrix_program,
                             const edgekit::memory_word *vector_jobs, const edgekit::memory_word *vector_program, const unsigned char *images,
                             word_t *results, unsigned engine, unsigned beats, unsigned matrix_count, unsigned vector_count, unsigned matrix_at,
                             unsigned vector_at, unsigned rows_at, unsigned image_bytes, unsigned result_words, unsigned frames) {
$interface
    #pragma HLS INTERFACE s_axilite port=return bundle=control
    if (engine != edgekit::engine_identity) {
        return edgekit::engine_is_another;
    }
Frame:
    for (unsigned index = 0; index < edgekit::frames_max; index++) {
        #pragma HLS LOOP_TRIPCOUNT min=1 max=16
        if (index >= frames) {
            break;
        }
        const unsigned long long at = index;
        frame(matrix_jobs, matrix_program, vector_jobs, vector_program, images + at * image_bytes, results + at * result_words, beats,
              matrix_count, vector_count, matrix_at, vector_at, rows_at);
    }
    return edgekit::engine_ran;
}
