"""A module and a header for each kernel: what it computes, what it takes, and how it is called."""
