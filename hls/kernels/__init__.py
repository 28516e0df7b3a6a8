"""Each kernel: a header edgekit_X.h, and a module X with the stages that call what is in it; the arithmetic that they share."""
