/* SHA-256, HMAC-SHA-256, CRC-32, hex and Base64. OpenSSL and libdeflate do the work. Thread-safe:
 * state is the caller's.
 */
#ifndef AURABRIDGE_DIGEST_H
#define AURABRIDGE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE     32
#define SHA256_HEX_SIZE 65 /* with the NUL */

struct sha256; /* a running digest */

/* Null when memory is short. */
struct sha256 *sha256_new(void);
/* Return 0 or -1. Finished, it takes no more. */
int sha256_update(struct sha256 *digest, const void *bytes, size_t length);
int sha256_finish(struct sha256 *digest, uint8_t out[SHA256_SIZE]);
void sha256_free(struct sha256 *digest);

/* In one call. Returns 0 or -1. */
int sha256_of(uint8_t out[SHA256_SIZE], const void *bytes, size_t length);
int sha256_hex_of(char out[SHA256_HEX_SIZE], const void *bytes, size_t length);
int hmac_sha256(uint8_t out[SHA256_SIZE], const void *key, size_t key_length, const void *bytes,
                size_t length);

/* CRC-32 as zip uses it (ISO 3309); start with 0 and feed the result on. */
uint32_t crc32_update(uint32_t crc, const void *bytes, size_t length);

/* Lower-case hex; `out` holds 2 × length + 1 bytes. */
void hex_encode(char *out, const void *bytes, size_t length);

/* Base64 (RFC 4648, padded); `out` holds base64_size(length) bytes with the NUL. */
size_t base64_size(size_t length);
void base64_encode(char *out, const void *bytes, size_t length);
/* Decodes strictly; `out` holds at least 3/4 of the text. Returns the length, or -1. */
long base64_decode(uint8_t *out, size_t out_size, const char *text);

#endif
