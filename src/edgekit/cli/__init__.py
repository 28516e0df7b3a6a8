"""The command line: a module a command. Each parses, calls a job, and prints."""
