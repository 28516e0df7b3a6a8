csim: csim_accelerator

csim_accelerator: build/testbench_accelerator
	./build/testbench_accelerator

build/testbench_accelerator: firmware/edgekit_network.cpp accelerator.cpp testbench_accelerator.cpp $(HEADERS) accelerator.h mover.h
	mkdir -p build
	$(CXX) -std=c++14 $(CXXFLAGS) -I. -isystem firmware/ap_types -DWEIGHTS_DIR='"firmware/weights"' $(filter %.cpp,$^) -o $@
