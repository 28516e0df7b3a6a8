"""How a device is reached: a work folder on it, files into it, a command in it, files out of it."""
