"""edgekit.firmware: the sources of programs that run on devices, in C++. edgekit.tflite.application builds them."""
