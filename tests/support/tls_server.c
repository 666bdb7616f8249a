/* TLS for the scripted server: a key and a self-signed certificate, made when they are needed. */
#include "tls_server.h"

#include "suite.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>

static X509 *make_certificate(EVP_PKEY *key, const char *name)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    char alternative[64];
    (void)snprintf(alternative, sizeof alternative, "%s", name);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
    (void)X509_set_version(certificate, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                     (const unsigned char *)"bridge test", -1, -1, 0);
    (void)X509_set_issuer_name(certificate, subject);
    (void)X509_set_pubkey(certificate, key);
    (void)X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    (void)X509_sign(certificate, key, EVP_sha256());
    return certificate;
}

SSL_CTX *tls_server_context(const char *name, const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key, name);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int good = SSL_CTX_use_certificate(context, certificate) == 1 &&
               SSL_CTX_use_PrivateKey(context, key) == 1;
    if (good && path) {
        FILE *file = fopen(path, "w");
        good = file && PEM_write_X509(file, certificate) == 1;
        good = file && fclose(file) == 0 && good;
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    CU_ASSERT_FATAL(good);
    return context;
}
