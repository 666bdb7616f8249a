/* URLs from a server: resolution, the Host header, and the canonical path and query. */
#include "fuzz.h"

#include "aurabridge/aurabox.h"

#include <stdlib.h>
#include <string.h>

static void sign_url(const char *url)
{
    const struct aurabox_sign_request request = {.app_id = "a",
                                                 .app_secret = "s",
                                                 .method = "GET",
                                                 .url = url,
                                                 .timestamp_s = 1706140800,
                                                 .nonce = "n"};
    struct aurabox_signature signature;
    struct error err;
    if (aurabox_sign(&signature, &request, &err) == 0)
        aurabox_signature_free(&signature);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char out[2048];
    char again[2048];
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    (void)http_host_of(out, sizeof out, text);
    sign_url(text);
    if (http_resolve_url(out, sizeof out, "https://host.example/a/b/c?d", text) == 0) {
        /* What is resolved is absolute: resolving it again changes nothing. */
        FUZZ_CHECK(http_resolve_url(again, sizeof again, "http://other/", out) == 0 &&
                   strcmp(out, again) == 0);
        sign_url(out);
    }
    (void)http_resolve_url(out, sizeof out, text, "../x?y");
    free(text);
    return 0;
}
