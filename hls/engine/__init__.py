"""One engine for all layers: a program of jobs that its two arrays run side by side, for networks that do not fit as a kernel a layer.

size       how large an engine is, and what it takes of a board
program    the jobs: loops, addresses, and the beats that they take
stream     weights and constants as the rows that the engine reads
maps       which bytes of a word hold which channel of a tensor
lower      the jobs of each op, for any rows of its output
order      in which order rows are made, and how many of each tensor are held
placement  where on the chip a tensor lies, and when
schedule   the beat at which each job starts
compiler   from a graph to a program
interpret  runs a program
estimate   how long it takes; cost: what an engine takes of a board
descriptor the jobs as the circuit reads them
program_file the program's file, with head and checksum, as it lies in a board's memory; pack: from a compiled program to it

The circuit is edgekit_engine.h with the headers beside it; edgekit.hls.simulation.engine runs its C simulation.
"""
