// Stands in for ap_int.h in the fast simulation: the processor's own integers, each at least as wide as what it replaces.
//
// The kernels give the same results with both as long as no value leaves its declared width, which the widths, taken from
// worst-case bounds, see to. What they never do: rely on an ap_int to wrap or to cut bits off.

#ifndef EDGEKIT_NATIVE_AP_INT_H_
#define EDGEKIT_NATIVE_AP_INT_H_

#define EDGEKIT_NATIVE

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace native {

// A memory word of more than 64 bits. `word >> n` gives the bits from n on, at least 56 of them.
template <unsigned BITS> struct wide {
    unsigned char bytes[BITS / 8];

    std::uint64_t operator>>(unsigned n) const {
        std::uint64_t bits = 0;
        for (unsigned i = 0; i < 8 && n / 8 + i < BITS / 8; i++) {
            bits |= std::uint64_t(bytes[n / 8 + i]) << (8 * i);
        }
        return bits >> (n % 8);
    }
};

template <unsigned W, class narrow, class half, class single, class twice, class beyond>
using by_width = typename std::conditional<
    W <= 8, narrow,
    typename std::conditional<W <= 16, half,
                              typename std::conditional<W <= 32, single, typename std::conditional<W <= 64, twice, beyond>::type>::type>::type>::type;

} // namespace native

template <int W> using ap_int = native::by_width<W, std::int8_t, std::int16_t, std::int32_t, std::int64_t, void>;
template <int W>
using ap_uint = native::by_width<W, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, native::wide<W>>;

#endif
