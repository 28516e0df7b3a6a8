# 32-bit Arm Linux, with Debian's g++-arm-linux-gnueabihf. ai-edge-litert has no 32-bit wheel: this shows only that the code compiles there.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
if(NOT CMAKE_CXX_COMPILER)
    set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
endif()
