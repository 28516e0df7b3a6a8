// hls4ml's headers name ap_fixed; a network of integers has no value of that type.

#ifndef EDGEKIT_EXACT_AP_FIXED_H_
#define EDGEKIT_EXACT_AP_FIXED_H_

#include "ap_int.h"

template <int, int> using ap_fixed = double;

#endif
