// What the C simulation counts and watches; in hardware it is nothing.

#ifndef EDGEKIT_ENGINE_COUNT_H_
#define EDGEKIT_ENGINE_COUNT_H_

namespace nnet {

#ifdef EDGEKIT_NATIVE
// Beats in which each array had a job, rows of weights and jobs that it took, bytes of the image that were read, tokens of it that the
// vector array took, bytes of results, and how often the program broke a promise of the compiler: a bank
// that both arrays read, or both wrote, in one beat; a job that could not start at its beat; a pass before its weights were there.
struct engine_counts {
    unsigned long busy[2], rows[2], jobs[2], image, tokens, results, bank_twice, late, no_weights;
};
extern engine_counts engine_counted;

// Each memory of a bank has one port to read and one to write: two words of it in one beat are one too many, whoever asks.
template <unsigned BANKS, unsigned WORDS> struct engine_ports {
    int reader[BANKS], writer[BANKS], read_row[BANKS][WORDS], write_row[BANKS][WORDS];

    void next_beat() {
        for (unsigned bank = 0; bank < BANKS; bank++) {
            reader[bank] = writer[bank] = -1;
            for (unsigned part = 0; part < WORDS; part++) {
                read_row[bank][part] = write_row[bank][part] = -1;
            }
        }
    }
    void read(const unsigned bank, const unsigned part, const unsigned row, const int array) {
        int &before = read_row[bank][part];
        engine_counted.bank_twice += (reader[bank] >= 0 && reader[bank] != array) || (before >= 0 && before != int(row));
        reader[bank] = array;
        before = int(row);
    }
    void write(const unsigned bank, const unsigned part, const unsigned row, const int array) {
        int &before = write_row[bank][part];
        engine_counted.bank_twice += (writer[bank] >= 0 && writer[bank] != array) || before >= 0;
        writer[bank] = array;
        before = int(row);
    }
};
// Is called after each beat, with the memory as it is then.
template <class memory_T> void engine_watch(unsigned beat, const memory_T &memory);
#define EDGEKIT_ENGINE_COUNT(what, number) engine_counted.what += (number)
#define EDGEKIT_ENGINE_BEAT(beat, memory) engine_watch(beat, memory)
// Words before they are looked up: they are tensors too, which lie nowhere in hardware.
#define EDGEKIT_ENGINE_PASSED_WORDS(SIZE_T) engine_word<SIZE_T> passed[SIZE_T::banks * SIZE_T::bank_words];
#define EDGEKIT_ENGINE_PASSED(memory, address, word) (memory).passed[address] = (word)
#else
template <unsigned BANKS, unsigned WORDS> struct engine_ports {
    void next_beat() {}
    void read(unsigned, unsigned, unsigned, int) {}
    void write(unsigned, unsigned, unsigned, int) {}
};
#define EDGEKIT_ENGINE_COUNT(what, number)
#define EDGEKIT_ENGINE_BEAT(beat, memory)
#define EDGEKIT_ENGINE_PASSED_WORDS(SIZE_T)
#define EDGEKIT_ENGINE_PASSED(memory, address, word)
#endif

} // namespace nnet

#endif
