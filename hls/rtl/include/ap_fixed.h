// Named by a template of hls4ml that is never used here.
#ifndef EDGEKIT_CLANG_AP_FIXED_H_
#define EDGEKIT_CLANG_AP_FIXED_H_
#include "ap_int.h"
template <int W, int I> struct ap_fixed {
};
#endif
