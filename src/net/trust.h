/* Certificates that are trusted beside the system's store. */
#ifndef AURABRIDGE_NET_TRUST_H
#define AURABRIDGE_NET_TRUST_H

#include "aurabridge/error.h"

struct trust;

/* Reads the PEM certificates of `ca_file`. `*out` is the caller's. */
int trust_read(struct trust **out, const char *ca_file, struct error *err);
void trust_free(struct trust *trust);

/* Adds them to an SSL_CTX. Returns 0 or -1. */
int trust_add(const struct trust *trust, void *ssl_context);

#endif
