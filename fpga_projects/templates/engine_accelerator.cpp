// The top function of the IP: the engine (firmware/edgekit_engine.h), and what brings it its rows of weights over AXI masters. The registers
// of the control port are at the offsets that the drivers use.

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

// The rows that an array's jobs take, of row_bytes bytes each, out of memory words in which they lie one behind the other.
//
// Loop:   Step    of each job: a word is read where fewer bytes than a row are held, a row is written where they suffice
//                 trip count: at most words and rows together      initiation interval 1
static void read_rows(const short *jobs, const unsigned job_count, const edgekit::memory_word *words, hls::stream<row_t> &out) {
    const unsigned row_bytes = engine_size::row_bytes;
    unsigned char held[engine_size::row_bytes + edgekit::word_bytes];
    #pragma HLS ARRAY_PARTITION variable=held complete
Job:
    for (unsigned number = 0; number < job_count; number++) {
        const nnet::engine_job job = nnet::read_engine_job(jobs + number * nnet::engine_job_halves);
        const unsigned long long first = static_cast<unsigned long long>(job.stream_row) * row_bytes;
        const unsigned rows = unsigned(job.stream_rows), begun = unsigned(first % edgekit::word_bytes);
        const unsigned steps = (begun + rows * row_bytes) / edgekit::word_bytes + 1 + rows;
        unsigned long long next = first / edgekit::word_bytes;
        unsigned skip = begun, count = 0, written = 0;
    Step:
        for (unsigned step = 0; step < steps; step++) {
            #pragma HLS PIPELINE II=1
            if (written == rows) {
                break;
            }
            if (count < row_bytes) {
                const edgekit::memory_word word = words[next];
                for (unsigned byte = 0; byte < edgekit::word_bytes; byte++) {
                    #pragma HLS UNROLL
                    if (byte >= skip) {
                        held[count + byte - skip] = word.byte[byte];
                    }
                }
                count += edgekit::word_bytes - skip;
                skip = 0;
                next++;
            }
            if (count >= row_bytes) {
                row_t row;
                for (unsigned byte = 0; byte < row_bytes; byte++) {
                    #pragma HLS UNROLL
                    row.byte[byte] = held[byte];
                }
                for (unsigned byte = 0; byte < edgekit::word_bytes; byte++) {
                    #pragma HLS UNROLL
                    held[byte] = held[byte + row_bytes];
                }
                out.write(row);
                count -= row_bytes;
                written++;
            }
        }
    }
}

static void frame(const short *matrix_jobs, const edgekit::memory_word *matrix_rows, const short *vector_jobs,
                  const edgekit::memory_word *vector_rows, const unsigned char *image, word_t *results, const unsigned beats,
                  const unsigned matrix_count, const unsigned vector_count) {
    #pragma HLS DATAFLOW
    hls::stream<row_t> to_matrix("to_matrix"), to_vector("to_vector");
    #pragma HLS STREAM variable=to_matrix depth=$matrix_rows
    #pragma HLS STREAM variable=to_vector depth=$vector_rows
    hls::stream<token_t> tokens("tokens");
    #pragma HLS STREAM variable=tokens depth=512
    read_rows(matrix_jobs, matrix_count, matrix_rows, to_matrix);
    read_rows(vector_jobs, vector_count, vector_rows, to_vector);
    nnet::read_engine_image<engine_size>(vector_jobs, vector_count, image, tokens);
    nnet::run_engine<engine_size>(beats, matrix_jobs, matrix_count, vector_jobs, vector_count, to_matrix, to_vector, tokens, results);
}

unsigned edgekit_accelerator(const short *matrix_jobs, const edgekit::memory_word *matrix_rows, const short *vector_jobs,
                             const edgekit::memory_word *vector_rows, const unsigned char *images, word_t *results, unsigned engine,
                             unsigned beats, unsigned matrix_count, unsigned vector_count, unsigned image_bytes, unsigned result_words,
                             unsigned frames) {
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
        frame(matrix_jobs, matrix_rows, vector_jobs, vector_rows, images + at * image_bytes, results + at * result_words, beats, matrix_count,
              vector_count);
    }
    return edgekit::engine_ran;
}
