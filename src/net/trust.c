/* Extra certificate authorities. They are read once, when the client is made, so that a bad file
 * is an error at once and names itself; they are added to the system's store and never replace it.
 */
#include "trust.h"

#include "aurabridge/buffer.h"
#include "aurabridge/fs.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <limits.h>
#include <stdlib.h>

#define MAX_CA_FILE (4U << 20)

struct trust {
    STACK_OF(X509) * certificates;
};

static int read_certificates(struct trust *trust, BIO *source)
{
    X509 *certificate = NULL;
    while ((certificate = PEM_read_bio_X509_AUX(source, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(trust->certificates, certificate) <= 0) {
            X509_free(certificate);
            return -1;
        }
    }
    /* The end of the file is reported as "no start line"; anything else is damage. */
    unsigned long reason = ERR_peek_last_error();
    ERR_clear_error();
    return ERR_GET_REASON(reason) == PEM_R_NO_START_LINE ? 0 : -1;
}

static int read_pem(struct trust *trust, const struct buffer *pem, const char *path,
                    struct error *err)
{
    BIO *source = BIO_new_mem_buf(pem->data, (int)pem->length);
    trust->certificates = sk_X509_new_null();
    int failed = 0;
    if (!source || !trust->certificates)
        failed = error_set(err, "no memory for the certificates of %s", path);
    else if (read_certificates(trust, source) != 0)
        failed = error_set(err, "%s holds a damaged certificate; it must be PEM", path);
    else if (sk_X509_num(trust->certificates) == 0)
        failed = error_set(err, "%s holds no certificate; it must be PEM", path);
    BIO_free(source);
    return failed;
}

int trust_read(struct trust **out, const char *ca_file, struct error *err)
{
    *out = NULL;
    struct trust *trust = calloc(1, sizeof *trust);
    if (!trust)
        return error_set(err, "no memory for the certificates of %s", ca_file);
    struct buffer pem;
    buffer_init(&pem, MAX_CA_FILE);
    int failed = fs_read_file(&pem, ca_file, err);
    if (!failed)
        failed = read_pem(trust, &pem, ca_file, err);
    buffer_free(&pem);
    if (failed) {
        trust_free(trust);
        return -1;
    }
    *out = trust;
    return 0;
}

void trust_free(struct trust *trust)
{
    if (!trust)
        return;
    sk_X509_pop_free(trust->certificates, X509_free);
    free(trust);
}

int trust_add(const struct trust *trust, void *ssl_context)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl_context);
    if (!store)
        return -1;
    for (int i = 0; i < sk_X509_num(trust->certificates); i++) {
        if (X509_STORE_add_cert(store, sk_X509_value(trust->certificates, i)) != 1)
            return -1;
    }
    return 0;
}
