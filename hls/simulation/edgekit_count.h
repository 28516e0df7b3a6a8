// Counts the iterations of pipelined loops, where the simulation is compiled with EDGEKIT_COUNT; nothing otherwise.

#ifndef EDGEKIT_COUNT_H_
#define EDGEKIT_COUNT_H_

#if defined(EDGEKIT_COUNT) && !defined(__SYNTHESIS__)

namespace nnet {
extern unsigned long long iterations[]; // by stage
}
#define EDGEKIT_ITERATION(CONFIG_T) ++nnet::iterations[CONFIG_T::stage]

#else

#define EDGEKIT_ITERATION(CONFIG_T)

#endif

#endif
