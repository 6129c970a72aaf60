/* epoll(7), edge-triggered. */
#define EDGES EPOLLET
#include "peer_epoll.c"
