"""The project compiled and run: the C simulation, and the vendor's synthesis."""
