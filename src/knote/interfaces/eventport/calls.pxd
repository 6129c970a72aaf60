from knote.interfaces.eventport.port cimport Port

cdef int PORT_SOURCE_FD, PORT_SOURCE_FILE

cdef Port _port(port)
