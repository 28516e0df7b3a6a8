// ap_int and ap_uint for clang: the widths of AMD's types, on _BitInt, so that LLVM sees every width. Written for the kernels of
// edgekit: construction, + - * & | ^, comparisons and shifts; what else ap_int has does not compile.

#ifndef EDGEKIT_CLANG_AP_INT_H_
#define EDGEKIT_CLANG_AP_INT_H_

#define EDGEKIT_INLINE __attribute__((always_inline))

namespace edgekit_ap {

constexpr int larger(int a, int b) { return a > b ? a : b; }

// A signed _BitInt has two bits at least.
template <int W, bool S> struct bits {
    typedef unsigned _BitInt(W) type;
};
template <int W> struct bits<W, true> {
    typedef _BitInt(W < 2 ? 2 : W) type;
};

// Memory holds whole bytes, so that LLVM can take arrays and tokens apart; every value is cut to W bits.
template <int CLASS, int W, bool S> struct stored {
    typedef typename bits<(W + 63) / 64 * 64, S>::type type;
};
#define EDGEKIT_STORED(CLASS, SIGNED, UNSIGNED)                                                                                            \
    template <int W> struct stored<CLASS, W, true> {                                                                                       \
        typedef SIGNED type;                                                                                                               \
    };                                                                                                                                     \
    template <int W> struct stored<CLASS, W, false> {                                                                                      \
        typedef UNSIGNED type;                                                                                                             \
    };
EDGEKIT_STORED(8, signed char, unsigned char)
EDGEKIT_STORED(16, short, unsigned short)
EDGEKIT_STORED(32, int, unsigned)
EDGEKIT_STORED(64, long long, unsigned long long)
#undef EDGEKIT_STORED
constexpr int class_of(int w) { return w <= 8 ? 8 : w <= 16 ? 16 : w <= 32 ? 32 : w <= 64 ? 64 : 0; }

template <int W, bool S> struct ap {
    static const int width = W;
    static const bool is_signed = S;
    typedef typename bits<W, S>::type value_t;
    typename stored<class_of(W), W, S>::type memory;

    EDGEKIT_INLINE ap() {}
    EDGEKIT_INLINE ap(const ap &other) : memory(other.memory) {}
    EDGEKIT_INLINE ap &operator=(const ap &other) {
        memory = other.memory;
        return *this;
    }
    template <int W2, bool S2> EDGEKIT_INLINE ap(const ap<W2, S2> &other) { set(other.get()); }
    EDGEKIT_INLINE ap(bool value) { set(value); }
    EDGEKIT_INLINE ap(char value) { set(value); }
    EDGEKIT_INLINE ap(signed char value) { set(value); }
    EDGEKIT_INLINE ap(unsigned char value) { set(value); }
    EDGEKIT_INLINE ap(short value) { set(value); }
    EDGEKIT_INLINE ap(unsigned short value) { set(value); }
    EDGEKIT_INLINE ap(int value) { set(value); }
    EDGEKIT_INLINE ap(unsigned value) { set(value); }
    EDGEKIT_INLINE ap(long value) { set(value); }
    EDGEKIT_INLINE ap(unsigned long value) { set(value); }
    EDGEKIT_INLINE ap(long long value) { set(value); }
    EDGEKIT_INLINE ap(unsigned long long value) { set(value); }

    EDGEKIT_INLINE value_t get() const { return (value_t)memory; }
    template <class T> EDGEKIT_INLINE void set(T value) { memory = narrowed(value); }
    // A signed number of one bit is 0 or -1, though its _BitInt has two.
    template <class T> static EDGEKIT_INLINE value_t narrowed(T value) {
        return W == 1 && S ? (value_t)(((int)value & 1) ? -1 : 0) : (value_t)value;
    }

    EDGEKIT_INLINE explicit operator bool() const { return get() != 0; }
    EDGEKIT_INLINE operator int() const { return (int)get(); }
    EDGEKIT_INLINE operator unsigned() const { return (unsigned)get(); }
    template <class T> EDGEKIT_INLINE ap &operator+=(const T &other) { return *this = *this + other; }
    template <class T> EDGEKIT_INLINE ap &operator-=(const T &other) { return *this = *this - other; }
    template <class T> EDGEKIT_INLINE ap &operator|=(const T &other) { return *this = *this | other; }
    template <class T> EDGEKIT_INLINE ap &operator>>=(const T &other) { return *this = *this >> other; }
    EDGEKIT_INLINE ap &operator++() { return *this = *this + 1; }
};

// What an operand of an operator is: an ap, or one of C++'s integers with its own width.
template <class T> struct operand {
    static const bool known = false, ours = false;
};
template <int W, bool S> struct operand<ap<W, S>> {
    static const bool known = true, ours = true, is_signed = S;
    static const int width = W;
    static EDGEKIT_INLINE typename bits<W, S>::type get(const ap<W, S> &value) { return value.get(); }
};
#define EDGEKIT_OPERAND(T, W, S)                                                                                                           \
    template <> struct operand<T> {                                                                                                        \
        static const bool known = true, ours = false, is_signed = S;                                                                       \
        static const int width = W;                                                                                                        \
        static EDGEKIT_INLINE bits<W, S>::type get(T value) { return (bits<W, S>::type)value; }                                            \
    };
EDGEKIT_OPERAND(bool, 1, false)
EDGEKIT_OPERAND(char, 8, true)
EDGEKIT_OPERAND(signed char, 8, true)
EDGEKIT_OPERAND(unsigned char, 8, false)
EDGEKIT_OPERAND(short, 16, true)
EDGEKIT_OPERAND(unsigned short, 16, false)
EDGEKIT_OPERAND(int, 32, true)
EDGEKIT_OPERAND(unsigned, 32, false)
EDGEKIT_OPERAND(long, 32, true)
EDGEKIT_OPERAND(unsigned long, 32, false)
EDGEKIT_OPERAND(long long, 64, true)
EDGEKIT_OPERAND(unsigned long long, 64, false)
#undef EDGEKIT_OPERAND

// The types of results, as AMD's ap_int has them; there where one operand is an ap and the other one is known.
template <class A, class B, bool USABLE = (operand<A>::ours || operand<B>::ours) && operand<A>::known && operand<B>::known>
struct results {};
template <class A, class B> struct results<A, B, true> {
    static const bool is_signed = operand<A>::is_signed || operand<B>::is_signed;
    static const int left = operand<A>::width + (operand<B>::is_signed && !operand<A>::is_signed ? 1 : 0);
    static const int right = operand<B>::width + (operand<A>::is_signed && !operand<B>::is_signed ? 1 : 0);
    typedef ap<larger(left, right) + 1, is_signed> plus;
    typedef ap<larger(left, right) + 1, true> minus;
    typedef ap<operand<A>::width + operand<B>::width, is_signed> times;
    typedef ap<larger(left, right), is_signed> logic;
    typedef plus compared;
    typedef bool truth;
};

#define EDGEKIT_OPERATOR(NAME, OP)                                                                                                         \
    template <class A, class B> EDGEKIT_INLINE typename results<A, B>::NAME operator OP(const A &a, const B &b) {                          \
        typedef typename results<A, B>::NAME result_t;                                                                                     \
        typedef typename result_t::value_t value_t;                                                                                        \
        result_t result;                                                                                                                   \
        result.set((value_t)operand<A>::get(a) OP(value_t) operand<B>::get(b));                                                            \
        return result;                                                                                                                     \
    }
EDGEKIT_OPERATOR(plus, +)
EDGEKIT_OPERATOR(minus, -)
EDGEKIT_OPERATOR(times, *)
EDGEKIT_OPERATOR(logic, &)
EDGEKIT_OPERATOR(logic, |)
EDGEKIT_OPERATOR(logic, ^)
#undef EDGEKIT_OPERATOR
#define EDGEKIT_COMPARISON(OP)                                                                                                             \
    template <class A, class B> EDGEKIT_INLINE typename results<A, B>::truth operator OP(const A &a, const B &b) {                         \
        typedef typename results<A, B>::compared::value_t value_t;                                                                         \
        return (value_t)operand<A>::get(a) OP(value_t) operand<B>::get(b);                                                                 \
    }
EDGEKIT_COMPARISON(<)
EDGEKIT_COMPARISON(>)
EDGEKIT_COMPARISON(<=)
EDGEKIT_COMPARISON(>=)
EDGEKIT_COMPARISON(==)
EDGEKIT_COMPARISON(!=)
#undef EDGEKIT_COMPARISON

template <int W, bool S> EDGEKIT_INLINE ap<W, S> moved_right(const ap<W, S> &a, unsigned n) {
    typedef typename ap<W, S>::value_t value_t;
    ap<W, S> result;
    result.set(n >= (unsigned)W ? (value_t)(a.get() < 0 ? -1 : 0) : (value_t)(a.get() >> n));
    return result;
}
template <int W, bool S> EDGEKIT_INLINE ap<W, S> moved_left(const ap<W, S> &a, unsigned n) {
    typedef typename ap<W, S>::value_t value_t;
    ap<W, S> result;
    result.set(n >= (unsigned)W ? (value_t)0 : (value_t)((typename bits<W, false>::type)a.get() << n));
    return result;
}
// A shift keeps the left operand's type; by a signed number it goes both ways, as AMD's does, and both ways become circuit.
template <int W, bool S> EDGEKIT_INLINE ap<W, S> operator>>(const ap<W, S> &a, unsigned n) { return moved_right(a, n); }
template <int W, bool S> EDGEKIT_INLINE ap<W, S> operator<<(const ap<W, S> &a, unsigned n) { return moved_left(a, n); }
template <int W, bool S> EDGEKIT_INLINE ap<W, S> operator>>(const ap<W, S> &a, int n) {
    return n >= 0 ? moved_right(a, n) : moved_left(a, -n);
}
template <int W, bool S> EDGEKIT_INLINE ap<W, S> operator<<(const ap<W, S> &a, int n) {
    return n >= 0 ? moved_left(a, n) : moved_right(a, -n);
}
template <int W, bool S, int W2> EDGEKIT_INLINE ap<W, S> operator>>(const ap<W, S> &a, const ap<W2, false> &n) {
    return moved_right(a, (unsigned)n);
}
template <int W, bool S, int W2> EDGEKIT_INLINE ap<W, S> operator<<(const ap<W, S> &a, const ap<W2, false> &n) {
    return moved_left(a, (unsigned)n);
}

} // namespace edgekit_ap

template <int W> using ap_int = edgekit_ap::ap<W, true>;
template <int W> using ap_uint = edgekit_ap::ap<W, false>;

#endif
