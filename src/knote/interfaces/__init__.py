"""Other kernels' interfaces, as thin layers over the public kqueue."""
