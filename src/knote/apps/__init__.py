"""The programs, as a library: the server, the copier and the client, each on the public kqueue."""
