"""The commands of the command line, one file each: words and exit codes, no logic."""
