"""fpga_projects: what `edgekit hls` adds to an HLS project so that it becomes a bitstream and runs on a board."""
