/* The listening socket. */
#ifndef AURABRIDGE_DICOM_LISTENER_H
#define AURABRIDGE_DICOM_LISTENER_H

#include "aurabridge/error.h"
#include "aurabridge/network.h"

#include <stdint.h>

/* Listens on "address:port", "[address]:port" or ":port" (all addresses); "[::]" and no address
 * are dual stack. `*out` is the caller's to close. */
int listener_open(int *out, const char *listen_at, struct error *err);

uint16_t listener_port(int listener);

/* Accepts one connection. `*out` is the caller's; `address` gets the peer's, IPv4 as such. Returns
 * 0, or -1 with errno. */
int listener_accept(int *out, char address[NETWORK_ADDRESS_SIZE], int listener);

#endif
