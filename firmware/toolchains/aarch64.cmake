# 64-bit Arm Linux, with Debian's g++-aarch64-linux-gnu or another compiler given by -DCMAKE_CXX_COMPILER.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
if(NOT CMAKE_CXX_COMPILER)
    set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()
