// The accelerator's interface. Images and results lie in memory one behind the other, a byte a value, each from a new word on;
// a result holds the outputs in their order, each from a new word on.

#ifndef EDGEKIT_ACCELERATOR_H_
#define EDGEKIT_ACCELERATOR_H_

#include "firmware/edgekit_network.h"
#include "mover.h"

namespace edgekit {
constexpr unsigned word_bytes = $word_bytes;
constexpr unsigned image_words = $image_words;
constexpr unsigned result_words = $result_words;
constexpr unsigned frames_max = $frames_max;
typedef ap_uint<8 * word_bytes> word_t;
} // namespace edgekit

void edgekit_accelerator($parameters);

#endif
