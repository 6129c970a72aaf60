"""The programs: as processes on real files, pipes, sockets and terminals, and as a library."""
