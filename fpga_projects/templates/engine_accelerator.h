// The interface of the engine as an accelerator. A program (network.program) lies in memory as its file is, from a page on; the driver
// tells where its parts are. It names the engine that it was made for, and no other one runs it.

#ifndef EDGEKIT_ACCELERATOR_H_
#define EDGEKIT_ACCELERATOR_H_

#include "firmware/edgekit_engine.h"
#include "firmware/edgekit_engine_size.h"

namespace edgekit {
constexpr unsigned word_bytes = $word_bytes; // of a port to memory
constexpr unsigned frames_max = $frames_max;
constexpr unsigned engine_identity = $identity; // of the C++ that this engine is synthesized of
enum { engine_ran = 0, engine_is_another = 1 };
struct memory_word {
    unsigned char byte[word_bytes];
};
} // namespace edgekit

// The jobs of each array; the program as its file is, in which the jobs and the rows of weights start at the bytes `..._at`; images and
// results: of one frame `image_bytes` bytes and `result_words` words of the map memory, one frame behind the other.
// Gives engine_ran, or engine_is_another, where nothing was done.
unsigned edgekit_accelerator(const edgekit::memory_word *matrix_jobs, const edgekit::memory_word *matrix_program,
                             const edgekit::memory_word *vector_jobs, const edgekit::memory_word *vector_program, const unsigned char *images,
                             nnet::engine_word<engine_size> *results, unsigned engine, unsigned beats, unsigned matrix_count,
                             unsigned vector_count, unsigned matrix_at, unsigned vector_at, unsigned rows_at, unsigned image_bytes,
                             unsigned result_words, unsigned frames);

#endif
