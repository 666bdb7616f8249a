/* A TLS server's side for tests. */
#ifndef AURABRIDGE_TESTS_TLS_SERVER_H
#define AURABRIDGE_TESTS_TLS_SERVER_H

#include <openssl/ssl.h>

/* A context with a fresh self-signed certificate for `name` ("IP:127.0.0.1", "DNS:…"), which also
 * goes to the file `path` unless that is null. The caller frees it. Ends the test when it fails. */
SSL_CTX *tls_server_context(const char *name, const char *path);

#endif
